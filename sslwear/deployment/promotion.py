"""Promotion: the chosen trial and the champion on the same locked participants, and the alias moves if it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import optuna
from mlflow.entities.model_registry import ModelVersion
from optuna.trial import FrozenTrial, TrialState

from sslwear.deployment import registry
from sslwear.deployment.registration import register_trial, summary
from sslwear.deployment.registry import CHAMPION
from sslwear.errors import SettingsError, StudyError, WeightsError
from sslwear.evaluation.intervals import Difference, Interval, difference
from sslwear.studies.context import StudyContext
from sslwear.studies.final_test import (
    HeldOutScores,
    count_test_evaluation,
    past_test_evaluations,
    score_network,
    training_of,
)
from sslwear.studies.finalise import trained
from sslwear.studies.leakage import seen_participants
from sslwear.studies.optimise import alone
from sslwear.studies.storage import find_study, store_errors
from sslwear.studies.summary import description
from sslwear.studies.trials import kept_settings, winner
from sslwear.tracking import Run, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.training import frozen_prefix_length
from sslwear.training.metrics import SCORES
from sslwear.utils.masking import masked
from sslwear.utils.signals import signals_deferred


@dataclass(frozen=True)
class Rule:
    """When a newcomer is not worse than the champion.

    Attributes:
        score: compared, one of `SCORES`.
        kind: ``mean``: the mean difference over participants is at least minus the margin; ``interval``: the lower end
            of its 95 % interval is.
        margin: how much worse is not worse.

    Raises:
        SettingsError: when there is no such score, or the margin is negative.
    """

    score: str = "kappa"
    kind: Literal["mean", "interval"] = "mean"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise SettingsError(f"score: there is no {self.score!r}; choose one of {', '.join(SCORES)}")
        if not 0 <= self.margin < 1:
            raise SettingsError(f"margin: it must be at least 0 and less than 1, but got {self.margin:g}")

    def allows(self, found: Difference) -> bool:
        """Whether a difference, the newcomer less the champion, is enough."""
        value = found.interval.mean if self.kind == "mean" else found.interval.low  # of one participant there is none
        return bool(value >= -self.margin)

    def __str__(self) -> str:
        what = "the mean difference" if self.kind == "mean" else "the lower end of the difference's 95 % interval"
        return f"{what} in {self.score} must be at least {-self.margin or 0:g}"


@dataclass(frozen=True)
class Promotion:
    """What came of it.

    Attributes:
        name: the registered model's.
        alias: that was to move.
        trial: number of the chosen trial.
        scores: of the newcomer on the test participants, by name; empty when it was the champion already.
        champion: the version that was the champion, or None where there was none.
        champion_scores: its scores on the same participants.
        differences: the newcomer less the champion, by score.
        version: the newcomer's, or None where it was refused.
        moved: whether the alias stands for the newcomer now and did not before.
        reason: why, in a sentence.
        looks: how often the test participants were looked at, this time included.
    """

    name: str
    alias: str
    trial: int
    scores: Mapping[str, Interval]
    champion: str | None
    champion_scores: Mapping[str, Interval]
    differences: Mapping[str, Difference]
    version: str | None
    moved: bool
    reason: str
    looks: int


def promote(
    study_name: str,
    store: Store,
    trial_number: int | None = None,
    name: str | None = None,
    alias: str = CHAMPION,
    rule: Rule | None = None,
    force: str | None = None,
) -> Promotion:
    """Score a trial and the current champion on a study's test participants, and move the alias if the trial may be it.

    Args:
        study_name: the study's.
        store: where it is.
        trial_number: the trial, or None for the winner.
        name: the registered model's name, or None for the study's.
        alias: to move.
        rule: when the newcomer may take it; by default the study's objective must not be lower on average.
        force: a reason to move it anyway, which is kept with the version.

    Raises:
        SslwearError: when study, trial, data or weights cannot be used, another process runs the study, or the two
            models cannot be compared and nothing is forced.
    """
    registry.check_name(name or study_name)
    registry.check_alias(alias)
    with store_errors(store), alone(store, study_name), registry.locked(store, name or study_name):
        study = find_study(study_name, store)
        settings = kept_settings(study)
        rule, name = rule or Rule(settings.objective), name or study_name
        trial = _chosen(study, trial_number)
        known = _known(store, name, study_name, trial)
        champion = _champion(store, name, alias)
        if known is not None and champion is not None and known.version == champion.version:
            reason = f"trial {trial.number} is {name}@{alias} already, version {known.version}"
            taken = str(known.version)
            count = len(past_test_evaluations(study))
            return Promotion(name, alias, trial.number, {}, taken, {}, {}, taken, False, reason, count)
        context = _experiment(study, store)
        registry.check_encoder(context.encoder)
        return _compare(context, study, trial, _Wanted(name, alias, rule, force), known, champion)


@dataclass(frozen=True)
class _Wanted:
    name: str
    alias: str
    rule: Rule
    force: str | None


def _chosen(study: optuna.Study, number: int | None) -> FrozenTrial:
    if number is None:
        best = winner(study)
        if best is None:
            raise StudyError(f"no trial of {study.study_name!r} has finished yet; run it first")
        return best
    found = {trial.number: trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if number not in found:
        there = f"choose one of {', '.join(map(str, found))}" if found else "none has"
        raise StudyError(f"trial {number} of {study.study_name!r} has not finished; {there}")
    return found[number]


def _known(store: Store, name: str, study: str, trial: FrozenTrial) -> ModelVersion | None:
    """The version that the trial was registered as before."""
    run_id = trial.user_attrs["run_id"]
    mine = [v for v in registry.versions(store, name) if v.run_id == run_id and v.tags.get(f"{PREFIX}study") == study]
    return mine[0] if mine else None


def _champion(store: Store, name: str, alias: str) -> ModelVersion | None:
    model = {model.name: model for model in registry.models(store)}.get(name)
    if model is None or alias not in model.aliases:
        return None
    return registry.find_version(store, f"{name}@{alias}")


def _experiment(study: optuna.Study, store: Store) -> StudyContext:
    """The study's data and split; its first weights are not needed, because the trial has its own.

    Raises:
        StudyError: when the data are others than the study's.
    """
    settings = kept_settings(study)
    context = StudyContext.open(settings, store, read_weights=False)
    if study.user_attrs["fingerprint"] != context.dataset.fingerprint:
        raise StudyError(
            f"{context.dataset.folder} holds other data than when {study.study_name!r} was run; put them back"
        )
    return context


def _compare(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    wanted: _Wanted,
    known: ModelVersion | None,
    champion: ModelVersion | None,
) -> Promotion:
    network = trained(context, trial)
    with signals_deferred():
        count_test_evaluation(study, f"promotion of trial {trial.number}")
    depth = frozen_prefix_length(context.tuning(training_of(trial)).frozen, network)
    newcomer = score_network(context, network, context.encoder.window_samples, context.dataset.class_names, depth)
    rival, remark = _rival(context, champion, wanted)
    _parent(context, study).describe(description(study, context.settings.objective))
    _parent(context, study).text(newcomer.table.to_csv(index=False), f"promotions/trial-{trial.number}.csv")
    mine = summary(newcomer.table)
    theirs = summary(rival.table) if rival is not None else {}
    differences = _differences(newcomer, rival) if rival is not None else {}
    allowed, reason = _verdict(wanted, champion, differences, remark)
    version = str(known.version) if known is not None else None
    if allowed:
        comparison = _comparison(wanted, champion, theirs, differences, reason)
        if known is None:
            known = register_trial(context, study, trial, wanted.name, wanted.alias, network, newcomer, comparison)
        version = str(known.version)
        with signals_deferred():
            if wanted.force is not None:
                why = masked(wanted.force)
                context.store.client.set_model_version_tag(wanted.name, version, f"{PREFIX}forced", why)
            expected = str(champion.version) if champion is not None else None
            registry.move_alias(context.store, wanted.name, wanted.alias, version, reason, expected)
    return Promotion(
        name=wanted.name,
        alias=wanted.alias,
        trial=trial.number,
        scores=mine,
        champion=str(champion.version) if champion is not None else None,
        champion_scores=theirs,
        differences=differences,
        version=version,
        moved=allowed,
        reason=reason,
        looks=len(past_test_evaluations(study)),
    )


def _parent(context: StudyContext, study: optuna.Study) -> Run:
    """The study's own run."""
    return Run(context.store, study.user_attrs["run_id"], context.store.experiment(context.settings.study))


def _rival(context: StudyContext, champion: ModelVersion | None, wanted: _Wanted) -> tuple[HeldOutScores | None, str]:
    """The champion's answers for the same participants, and a remark on whether the comparison is fair.

    Raises:
        StudyError: when it cannot be compared and nothing is forced.
    """
    if champion is None:
        return None, ""
    seen = seen_participants(context.store, registry.uri_of(champion), context.dataset, context.split.test)
    try:
        model = registry.load_model(context.store, registry.uri_of(champion), context.device)
        found = score_network(context, model.network, model.card.window_samples, model.card.class_names)
    except (StudyError, WeightsError, SettingsError) as error:
        if wanted.force is None:
            raise StudyError(
                f"{wanted.name}@{wanted.alias}, version {champion.version}, cannot be compared: {error}; give the new "
                "model another --name, or --force REASON"
            ) from error
        return None, f" (not compared: {error})"
    remark = f"; the champion learnt from {', '.join(seen)} of the test participants, which favours it" if seen else ""
    return found, remark


def _differences(first: HeldOutScores, second: HeldOutScores) -> dict[str, Difference]:
    one, other = (tested.table.set_index("participant") for tested in (first, second))
    return {name: difference(one[name], other[name]) for name in SCORES}


def _verdict(
    wanted: _Wanted, champion: ModelVersion | None, differences: Mapping[str, Difference], remark: str
) -> tuple[bool, str]:
    """Whether the alias moves, and why."""
    if champion is None:
        return True, f"there was no champion before{remark}"
    rule = wanted.rule
    if differences:
        found = differences[rule.score]
        allowed = rule.allows(found)
        text = f"{rule.score} is {found.interval.mean:+.3f} against version {champion.version}; {rule}{remark}"
    else:
        allowed, text = False, f"version {champion.version} was not compared{remark}"
    if not allowed and wanted.force is not None:
        return True, f"forced: {wanted.force} ({text})"
    return allowed, text


def _comparison(
    wanted: _Wanted,
    champion: ModelVersion | None,
    theirs: Mapping[str, Interval],
    differences: Mapping[str, Difference],
    reason: str,
) -> str:
    """What the model card says of the champion before."""
    if champion is None:
        return "There was no champion to compare it with."
    if not differences:
        return f"It took `{wanted.alias}` from version {champion.version}: {reason}."
    rows = "\n".join(
        f"| {name} | {theirs[name]} | {found.interval} | {found.p:.3f} |" for name, found in differences.items()
    )
    return f"""It took `{wanted.alias}` from version {champion.version}: {reason}. On the same participants:

| score | version {champion.version} | difference, this one less that | p (Wilcoxon) |
|---|---|---|---|
{rows}"""
