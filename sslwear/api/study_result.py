"""Result of a study: its trials, the best one and how sure that is."""

# Imports of other parts stay inside functions, so that importing this module is fast.

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from sslwear.api.notebook import displayable

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from matplotlib.figure import Figure

    from sslwear.config import Settings
    from sslwear.reports.study_report import StudyReport


@dataclass(frozen=True)
class BestTrial:
    """The best finished trial of a study.

    Attributes:
        number: its number.
        score: the study's objective, a mean over participants; over all windows in studies of version 0.1.
        settings: the study's settings with those of this trial in `training` and `pretraining`.
        weights: address of its checkpoint, ``runs:/ID``, for `load_encoder`, `load_model` or a study's ``weights``.
    """

    number: int
    score: float
    settings: Settings
    weights: str


@dataclass(frozen=True)
class StudyResult:
    """Trials of a study and the best of them; a notebook shows them as a table.

    Attributes:
        study: the Optuna study.
    """

    study: optuna.Study

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.study_name

    @cached_property
    def settings(self) -> Settings:
        """Settings that the study was started with."""
        from sslwear.studies.database.trials import kept_settings

        return kept_settings(self.study)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, in order.

        Columns: ``trial``; ``outcome``, for example ``finished`` or ``pruned``; the objective, such as ``kappa``, of a
        pruned trial at its last epoch; the training settings; searched keys of `pretraining`, with their section, which
        are empty for trials without pre-training; ``epochs``, the number with the lowest mean validation loss of a
        finished trial, and the number trained so far of another one (empty with a second objective); ``seconds``;
        ``error``, of a failed trial.
        """
        import pandas as pd

        from sslwear.studies.database.trials import rows

        columns = list(type(self.settings.training).model_fields)
        table = [
            {
                "trial": row.number,
                "outcome": row.outcome,
                self.settings.objective: row.value,
                **(row.settings.model_dump() if row.settings else dict.fromkeys(columns)),
                **{f"pretraining.{key}": row.pretraining.get(key) for key in self.settings.search.pretraining_keys},
                "epochs": row.epochs,
                "seconds": row.seconds,
                "error": row.error,
            }
            for row in rows(self.study)
        ]
        return pd.DataFrame(table)

    @cached_property
    def best(self) -> BestTrial:
        """The best finished trial.

        Raises:
            StudyError: when no trial has finished.
        """
        from sslwear.errors import StudyError
        from sslwear.studies.database.trials import network_run, score_of, settings_of, winner
        from sslwear.tracking import RUN_URI

        trial = winner(self.study)
        if trial is None or (value := score_of(trial)) is None:
            raise StudyError(f"no trial of {self.name!r} has finished yet. Run the study first")
        settings = settings_of(trial, self.settings)
        run_id = network_run(self.study, trial) or trial.user_attrs["run_id"]
        return BestTrial(trial.number, value, settings, f"{RUN_URI}{run_id}")

    @property
    def test_scores(self) -> dict[str, float]:
        """Scores of the best trial on the test participants.

        Means over the participants by name of the score, and scores over all windows by ``pooled_`` and the name.
        Studies of version 0.1 have the second kind only.
        """
        from sslwear.studies.database.tested_trials import scores_of

        return scores_of(self.study, self.best.number)

    @cached_property
    def verdict(self) -> StudyReport:
        """What won and how sure that is: estimates with intervals, and the trials that cannot be told from the best."""
        from sslwear.studies.results.verdict import report

        return report(self.study)

    @property
    def importances(self) -> dict[str, float]:
        """Importance of each searched setting for the objective, adding up to 1; empty with too few trials."""
        return {name: share.mean for name, share in self.verdict.importances.items()}

    def plot(self) -> Figure:
        """Draw the score of every trial with its standard error, and means by tuning strategy."""
        from sslwear.reports.study_pictures import study_overview

        return displayable(study_overview(self.verdict))

    def __repr__(self) -> str:
        from sslwear.studies.database.trials import winner

        if winner(self.study) is None:
            return f"StudyResult({self.name!r}, {len(self.trials)} trials, none finished)"
        best = self.best
        return (
            f"StudyResult({self.name!r}, {len(self.trials)} trials, best: trial {best.number}, "
            f"{self.settings.objective} {best.score:.3f})"
        )

    def _repr_html_(self) -> str:
        from sslwear.evaluation.participants import validation_title
        from sslwear.reports.study_text import verdict
        from sslwear.studies.database.tested_trials import main_scores
        from sslwear.studies.database.trials import is_by_participant, winner

        if winner(self.study) is None:
            return f"<p>{escape(repr(self))}</p>"
        best, objective = self.best, self.settings.objective
        scores, what = main_scores(self.study, best.number)
        tests = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        title = validation_title(objective, pooled=not is_by_participant(self.study))
        table = self.trials.drop(columns="error").to_html(index=False, float_format=lambda value: f"{value:.4g}")
        return (
            f"<p><b>Study {escape(self.name)}</b>: the best is trial {best.number} with {title} "
            f"{best.score:.3f} ({escape(best.settings.training.tuning)}).</p>"
            f"<p>{escape(' '.join([*verdict(self.verdict), *filter(None, [self.verdict.warning])]))}</p>"
            f"{f'<p>Test scores, {what}: {tests}.</p>' if tests else ''}{table}"
        )
