"""All trials of a study read at once from Optuna's tables.

Optuna makes an object of SQLAlchemy for each value of a trial, which takes most of the time of a study with many
trials. Here the rows are read as they are.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

ByTrial = dict[int, dict[Any, Any]]


class ReadingStorage(RDBStorage):
    """Optuna's relational storage that reads the trials of a study faster the first time.

    Later, Optuna reads only the trials that it does not know or that have not ended.
    """

    _head_version: ClassVar[str | None] = None

    def get_head_version(self) -> str:
        """Newest version of the schema, which Optuna finds by running the files of all its versions; it is kept."""
        if ReadingStorage._head_version is None:
            ReadingStorage._head_version = super().get_head_version()
        return ReadingStorage._head_version

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if states is not None or trial_id_greater_than > -1:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        with self.engine.connect() as connection:
            return _read_trials(connection, study_id)


def _read_trials(connection: sa.Connection, study_id: int) -> list[FrozenTrial]:
    """Trials of a study, in the order in which they were made."""
    trial, value = models.TrialModel, models.TrialValueModel
    epoch, param = models.TrialIntermediateValueModel, models.TrialParamModel
    started, ended = trial._datetime_start_utc, trial._datetime_complete_utc
    query = sa.select(trial.trial_id, trial.number, trial.state, started, ended).where(trial.study_id == study_id)
    rows = connection.execute(query.order_by(trial.trial_id)).all()  # before their values, which are complete then
    read = functools.partial(_read, connection, study_id)
    values = read(value.trial_id, value.objective, _number(value.stored_repr_to_value), value.value, value.value_type)
    epochs = read(
        epoch.trial_id,
        epoch.step,
        _number(epoch.stored_repr_to_intermediate_value),
        epoch.intermediate_value,
        epoch.intermediate_value_type,
    )
    params = read(
        param.trial_id, param.param_name, _param, param.param_value, param.distribution_json, order=param.param_id
    )
    users, systems = (
        read(model.trial_id, model.key, json.loads, model.value_json)
        for model in (models.TrialUserAttributeModel, models.TrialSystemAttributeModel)
    )
    return [
        FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=[values[one][place] for place in sorted(values[one])] if one in values else None,
            datetime_start=_local(begun),
            datetime_complete=_local(over),
            params={name: external for name, (external, _) in params.get(one, {}).items()},
            distributions={name: distribution for name, (_, distribution) in params.get(one, {}).items()},
            user_attrs=users.get(one, {}),
            system_attrs=systems.get(one, {}),
            intermediate_values=epochs.get(one, {}),
            trial_id=one,
        )
        for one, number, state, begun, over in rows
    ]


def _read(
    connection: sa.Connection,
    study_id: int,
    trial_id: Any,
    key: Any,
    convert: Callable[..., Any],
    *columns: Any,
    order: Any = None,
) -> ByTrial:
    """Values of a table of Optuna by trial and key.

    Args:
        connection: to the database.
        study_id: id of the study.
        trial_id: column of the table with the trial.
        key: column with the key of the value.
        convert: makes a value of what the columns have.
        columns: columns that have the value.
        order: column that the rows are sorted by; None for any order.
    """
    trial = models.TrialModel
    query = sa.select(trial_id, key, *columns).join(trial, trial.trial_id == trial_id).where(trial.study_id == study_id)
    found: ByTrial = defaultdict(dict)
    for one, name, *stored in connection.execute(query if order is None else query.order_by(order)):
        found[one][name] = convert(*stored)
    return dict(found)


def _number(convert: Callable[..., float]) -> Callable[..., float]:
    """A number as it is kept, with its kind: finite, infinite or none."""
    return lambda number, kind: number if number is not None else convert(number, kind)


def _param(stored: float, distribution_json: str) -> tuple[Any, BaseDistribution]:
    distribution = _distribution(distribution_json)
    return distribution.to_external_repr(stored), distribution


@functools.lru_cache(1000)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(utc: datetime | None) -> datetime | None:
    """A time of the database as Optuna has it: local, without a zone."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
