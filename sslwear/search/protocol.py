"""What an evaluation is made of: each method in each fold with each seed, all checked before the first one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sslwear.data.dataset import Dataset
from sslwear.data.splits import Split, folds, missing_classes
from sslwear.errors import SettingsError
from sslwear.evaluation.sequences import check_consecutive
from sslwear.plugins import source_digest
from sslwear.search.baselines import find_baseline
from sslwear.search.experiment import (
    NO_PRETEXT,
    Experiment,
    check_pretext_name,
    digest,
    initial_weights,
    key_of,
    labelled,
)
from sslwear.search.origins import sees_the_tested, supervised_on
from sslwear.search.pretraining import CODE as PRETRAINING_CODE
from sslwear.search.pretraining import check_pretraining, pretraining_data
from sslwear.settings import EvaluationSettings, MethodSettings, Settings, TrainingSettings
from sslwear.tracking import Store, people
from sslwear.tuning.base import parse as parse_tuning

SEARCH_CODE = ("experiment.py", "part.py", "pretraining.py", "protocol.py", "testing.py", "trial.py")
CODE = (*PRETRAINING_CODE, "evaluation", "scores.py", "tuning", *(f"search/{name}" for name in SEARCH_CODE))
"""Parts of this package that decide what an evaluation gives."""


@dataclass(frozen=True)
class Method:
    """One of the methods compared.

    Attributes:
        name: the study file's.
        given: what the study file says of it.
        training: the study's `training` with what differs.
        weights: where its encoder starts.
        initial: the weights there by tensor name, or None for random ones.
        digest: names them by content.
        supervised: data sets whose labels the encoder has learnt before it is fine-tuned.
    """

    name: str
    given: MethodSettings
    training: TrainingSettings
    weights: str
    initial: Mapping[str, Tensor] | None
    digest: str
    supervised: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Whether it trains a network of its own."""
        return self.given.trains


@dataclass(frozen=True)
class Part:
    """One method in one fold with one seed.

    Attributes:
        method: which.
        fold: from 1.
        seed: of the training.
        split: the fold's participants.
        key: names everything on which its result depends.
        members: keys of the parts that it is made of, by method; none where it is a method of its own.
    """

    method: Method
    fold: int
    seed: int
    split: Split
    key: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """An evaluation, all parts of it.

    Attributes:
        experiment: what the parts share.
        settings: the study file's section.
        parts: in the order in which they are run; those that are made of others come after these.
    """

    experiment: Experiment
    settings: EvaluationSettings
    parts: tuple[Part, ...]

    @classmethod
    def build(cls, settings: Settings, store: Store) -> Plan:
        """Check everything that an evaluation needs.

        Raises:
            SslwearError: when the study file has no section `evaluation`, a name does not exist, data or weights cannot
                be used, or something would learn from the participants that it is tested on.
        """
        evaluation = settings.evaluation
        if evaluation is None:
            raise SettingsError(
                f"the study file of {settings.study!r} has no section evaluation; add one with the methods to compare, "
                "such as evaluation: {methods: {all: {tuned: all}, first block: {tuned: layer1}}}"
            )
        dataset = labelled(settings, store)
        splits = _splits(dataset, settings, evaluation)
        hold_out = evaluation.protocol == "hold_out"
        experiment = Experiment.build(settings, store, dataset, None if hold_out else splits[0])
        methods = _marked([_method(name, given, experiment) for name, given in evaluation.methods.items()])
        tested = {participant for split in splits for participant in split.test}
        origins = {method.weights for method in methods if method.trains}
        seen = [sees_the_tested(experiment, evaluation, origin, tested) for origin in sorted(origins)]
        if evaluation.smoothing == "hmm":
            check_consecutive(dataset)
        pretexts = {method.training.pretext for method in methods if method.trains} - {NO_PRETEXT}
        _check_transductive(experiment, evaluation, splits, bool(pretexts), any(seen))
        for split in splits:  # refuse folds in which a part could not be run
            fold = replace(experiment, split=split, transductive=evaluation.transductive)
            if any(method.given.choose for method in methods):
                fold.check_objective()
            check_pretraining(fold, pretexts)
        return cls(experiment, evaluation, _parts(experiment, evaluation, splits, methods))

    def of(self, part: Part) -> Experiment:
        """The experiment of a part: its fold's participants, its seed and its method's first weights."""
        method = part.method
        return self.experiment.variant(
            part.split, part.seed, method.weights, method.initial, self.settings.transductive
        )

    def warnings(self) -> list[str]:
        """What a user should know of the folds, a sentence each."""
        found = [*self.experiment.stretched(), self._left_out()]
        for part in {part.fold: part for part in self.parts}.values():
            for name in missing_classes(self.experiment.dataset, part.split):
                found.append(
                    f"fold {part.fold}: only the participants tested there ({', '.join(map(str, part.split.test))}) "
                    f"show {name!r}, so nothing can learn it and all its windows count as missed"
                )
        return [text for text in found if text is not None]

    def _left_out(self) -> str | None:
        experiment, tested = self.experiment, {str(pid) for part in self.parts for pid in part.split.test}
        pretrains = any(part.method.trains and part.method.training.pretext != NO_PRETEXT for part in self.parts)
        if experiment.others is None or self.settings.transductive or not pretrains:
            return None
        shared = experiment.others.shared(experiment.dataset, tested)
        if not shared:
            return None
        return (
            f"pretraining.data holds windows of {len(shared)} participants who are tested ({', '.join(shared[:3])}"
            f"{', ...' if len(shared) > 3 else ''}): in each fold, those who are tested or validated there are left out"
        )

    def tags(self) -> dict[str, str]:
        """Tags of all runs of the evaluation, by name without the prefix ``sslwear.``."""
        mark = {"protocol": self.settings.protocol, "transductive": str(self.settings.transductive).lower()}
        how = {"smoothing": self.settings.smoothing, "refit": str(self.settings.refit).lower()}
        return {**self.experiment.tags(), **mark, **how}

    @property
    def key(self) -> str:
        """Names the whole evaluation."""
        return key_of({"parts": [part.key for part in self.parts]})

    def table(self) -> pd.DataFrame:
        """The parts: ``method``, ``seed``, ``fold``, ``key``, one row each, methods in the order of the study file."""
        order = list(self.settings.methods)
        rows = [(part.method.name, part.seed, part.fold, part.key) for part in self.parts]
        rows.sort(key=lambda row: order.index(row[0]))
        return pd.DataFrame(rows, columns=["method", "seed", "fold", "key"])


def _splits(dataset: Dataset, settings: Settings, evaluation: EvaluationSettings) -> list[Split]:
    names = np.array(dataset.class_names)[dataset.labels[dataset.worn]]
    return folds(dataset.pid[dataset.worn], names, evaluation.protocol, evaluation.folds, **settings.split.model_dump())


def _method(name: str, given: MethodSettings, experiment: Experiment) -> Method:
    """What a method is in full.

    Raises:
        SslwearError: when its tuning strategy, pretext task, weights or baseline do not exist.
    """
    settings, store, key = experiment.settings, experiment.store, f"evaluation.methods.{name}"
    changes = {k: v for k, v in given.model_dump().items() if k in TrainingSettings.model_fields}
    training = settings.training.model_copy(update=changes)
    if given.baseline is not None:
        find_baseline(given.baseline)
    parse_tuning(training.tuned, experiment.encoder, f"{key}.tuned")
    check_pretext_name(training.pretext, f"{key}.pretext")
    origin, initial = settings.weights, experiment.initial
    if given.weights is not None and given.weights != origin:
        origin = given.weights
        initial = initial_weights(settings.model_copy(update={"weights": origin}), experiment.encoder, store)
    labels = supervised_on(experiment, origin, training.pretext) if given.trains else ()
    return Method(name, given, training, origin, initial, digest(initial), labels)


def _marked(methods: Sequence[Method]) -> list[Method]:
    """The methods, with those that are made of others bearing the marks of all of these."""
    marks = {method.name: method.supervised for method in methods}
    found = []
    for method in methods:
        inherited = {name for member in method.given.members for name in marks[member]}
        found.append(replace(method, supervised=tuple(sorted({*method.supervised, *inherited}))))
    return found


def _check_transductive(
    experiment: Experiment, evaluation: EvaluationSettings, splits: Sequence[Split], pretrains: bool, seen: bool
) -> None:
    """Refuse a mark without a reason.

    Args:
        experiment: with the data to pre-train on.
        evaluation: with the mark.
        splits: the folds.
        pretrains: whether there is pre-training.
        seen: whether weights that are started from have seen those who are tested.

    Raises:
        SettingsError: when the study file says `transductive`, and nothing is.
    """
    if not evaluation.transductive or seen:
        return
    tested = {str(participant) for split in splits for participant in split.test}
    if not pretrains or experiment.others is None or not experiment.others.shared(experiment.dataset, tested):
        raise SettingsError(
            "evaluation.transductive is true, and no method is pre-trained on windows of those who are tested; leave "
            "it out"
        )


def _parts(
    experiment: Experiment, evaluation: EvaluationSettings, splits: Sequence[Split], methods: Sequence[Method]
) -> tuple[Part, ...]:
    parts, code = [], source_digest(*CODE)
    for fold, split in enumerate(splits, start=1):
        for seed in evaluation.seeds:
            keys: dict[str, str] = {}
            for method in sorted(methods, key=lambda method: bool(method.given.members)):
                members = {name: keys[name] for name in method.given.members}
                how = "choose" if method.given.choose else "ensemble"
                what = {how: members} if members else _content(experiment, method)
                sides = [sorted(map(str, side)) for side in (split.train, split.validation, split.test)]
                of = experiment.variant(split, seed, method.weights, method.initial, evaluation.transductive)
                what |= {"supervised": method.supervised, "pre-trained on": _pretrained_on(of, method)}
                content = {**what, **_common(experiment, evaluation), "split": sides, "seed": seed, "code": code}
                keys[method.name] = key_of({"method": method.name, **content})
                parts.append(Part(method, fold, seed, split, keys[method.name], members))
    return tuple(parts)


def _pretrained_on(experiment: Experiment, method: Method) -> dict[str, str]:
    """Who is learnt from and who is held out in a method's pre-training, which labels and names of sources decide."""
    if not method.trains or method.training.pretext == NO_PRETEXT:
        return {}
    data = pretraining_data(experiment, method.training.pretext)
    return people(train=data.train.participants(), held_out=data.validation.participants())


def _common(experiment: Experiment, evaluation: EvaluationSettings) -> dict[str, Any]:
    settings = experiment.settings
    return {
        "data": experiment.dataset.fingerprint,
        "include_nonwear": settings.include_nonwear,
        "objective": settings.objective,
        **evaluation.model_dump(include={"protocol", "smoothing", "refit", "transductive", "keep_checkpoints"}),
    }


def _content(experiment: Experiment, method: Method) -> dict[str, Any]:
    if method.given.baseline is not None:
        return {"baseline": method.given.baseline}
    settings = experiment.settings
    content = {
        "encoder": settings.encoder,
        "weights": method.digest,
        "training": method.training.model_dump(),
        "device": experiment.device.type,
        "precision": experiment.precision,
    }
    if method.training.pretext != NO_PRETEXT:
        others = experiment.others.fingerprint if experiment.others else ""
        content["pretraining"] = {**settings.pretraining.model_dump(exclude={"data"}), "others": others}
    return content
