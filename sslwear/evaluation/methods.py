"""Methods compared over participants: means with intervals, spread over seeds, paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sslwear.evaluation.intervals import Difference, Interval, difference, interval


@dataclass(frozen=True)
class MethodSummary:
    """What an evaluation says of a method.

    Attributes:
        method: its name.
        kappa: mean over participants, each the mean over seeds.
        f1: the same.
        seeds: how many.
        spread: standard deviation between seeds of the mean kappa over participants; NaN with one seed.
        difference: in kappa to the first method, on the same participants; None for the first method itself.
    """

    method: str
    kappa: Interval
    f1: Interval
    seeds: int
    spread: float
    difference: Difference | None


def summarise(table: pd.DataFrame) -> list[MethodSummary]:
    """Summarise the rows of `sslwear.search.evaluation.results`, methods in their order there."""
    found: list[MethodSummary] = []
    first: pd.Series[float] | None = None
    for method, rows in table.groupby("method", sort=False):
        people = rows.groupby("participant")[["kappa", "f1"]].mean()
        by_seed = rows.groupby("seed")["kappa"].mean()
        found.append(
            MethodSummary(
                method=str(method),
                kappa=interval(people["kappa"]),
                f1=interval(people["f1"]),
                seeds=len(by_seed),
                spread=float(by_seed.std(ddof=1)) if len(by_seed) > 1 else np.nan,
                difference=None if first is None else difference(people["kappa"], first),
            )
        )
        first = people["kappa"] if first is None else first
    return found


def as_frame(summaries: list[MethodSummary]) -> pd.DataFrame:
    """The summaries as a table of numbers, one row a method."""
    rows = []
    for one in summaries:
        row: dict[str, object] = {"method": one.method}
        for name, found in (("kappa", one.kappa), ("f1", one.f1)):
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_sd": found.sd}
        row |= {"participants": one.kappa.participants, "seeds": one.seeds, "kappa_sd_of_seeds": one.spread}
        if one.difference is not None:
            how = one.difference.interval
            row |= {"difference": how.mean, "difference_low": how.low, "difference_high": how.high}
            row |= {"difference_p": one.difference.p}
        rows.append(row)
    return pd.DataFrame(rows)
