"""Result of an evaluation: methods compared on test participants."""

# Imports of other parts stay inside functions, so that importing this module is fast.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sslwear.api.notebook import displayable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sslwear.config import Settings
    from sslwear.evaluation.comparison import Comparison
    from sslwear.reports.report_text import Group


@dataclass(frozen=True)
class EvaluationResult:
    """Methods compared on test participants; a notebook shows the answer and the tables.

    Attributes:
        settings: the settings of the evaluation.
        scores: one row a method, seed, fold and test participant: ``method``, ``seed``, ``averaged_seeds`` (those that
            an ensemble averages, else empty), ``fold``, ``participant``, ``windows``, the scores ``kappa``, ``f1``,
            ``precision``, ``recall``, ``f1_all_classes``, ``accuracy``, and ``dataset``,
            ``protocol``, ``transductive``, ``supervised``, ``run_id``.
    """

    settings: Settings
    scores: pd.DataFrame

    @cached_property
    def _group(self) -> Group:
        from sslwear.reports.report import grouped, not_only_networks

        (group,) = grouped(self.scores, self.settings.objective, None, not_only_networks(self.settings))
        return group

    @property
    def _compared(self) -> Sequence[Comparison]:
        return self._group.comparisons[self.settings.objective]

    @property
    def summary(self) -> pd.DataFrame:
        """One row a method: ``kappa`` and ``f1`` over participants, each with its 95 % interval (``_low``, ``_high``;
        NaN with fewer than five participants) and standard deviation (``_sd``), the ``objective``, the numbers of
        ``participants`` for whom it is defined and of ``seeds``, ``kappa_sd_of_seeds`` and ``f1_sd_of_seeds``.
        """
        from sslwear.evaluation.comparison import as_frame

        return as_frame(self._group.summaries, (), self.settings.objective)

    @property
    def comparisons(self) -> pd.DataFrame:
        """One row for each method but the first, which is the reference.

        Columns: ``method``; ``reference``; ``score``, the objective; ``difference``, the mean over participants, with
        its 95 % interval ``low`` and ``high`` (NaN with fewer than five participants); ``p`` of Wilcoxon's signed-rank
        test; ``p_holm``, the same after Holm's correction; ``significant``, whether that is below 0.05.
        """
        import pandas as pd

        columns = ("method", "reference", "score", "difference", "low", "high", "p", "p_holm", "significant")
        reference, score = self._group.reference.label, self.settings.objective
        rows = []
        for one in self._compared:
            found = one.found.interval
            values = (found.mean, found.low, found.high, one.found.p, one.corrected, one.significant)
            rows.append((one.summary.label, reference, score, *values))
        return pd.DataFrame(rows, columns=list(columns))

    def plot(self) -> Figure:
        """Draw each participant's difference to the reference, with the mean and its 95 % interval, by method.

        Raises:
            StudyError: when there is one method only.
        """
        from sslwear.errors import StudyError
        from sslwear.reports.report_figures import differences_figure

        if not self._compared:
            raise StudyError(
                f"the evaluation of {self.settings.study!r} has one method only. Add one to compare it with"
            )
        return displayable(differences_figure({self._group.title: self._compared}, self.settings.objective))

    def __repr__(self) -> str:
        participants = self.scores["participant"].nunique()
        return (
            f"EvaluationResult({self.settings.study!r}, {len(self._group.summaries)} methods, {participants} test "
            "participants)"
        )

    def _repr_markdown_(self) -> str:
        from sslwear.reports.report_text import answer, comparisons_table, scores_table

        parts = [answer(self._group), "\n".join(scores_table(self._group))]
        if self._compared:
            parts.append("\n".join(comparisons_table(self._group, self.settings.objective)))
        return "\n\n".join(parts)
