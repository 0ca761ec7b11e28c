"""The reports that come along are whole, are of the study files beside them, and the index quotes what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import pytest

from sslwear.config import from_yaml, load, parse
from sslwear.evaluation.intervals import difference
from sslwear.reports.report_figures import MOST_BYTES

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"
REPORTS = sorted(path.parent for path in EXPERIMENTS.glob("*/REPORT.md"))
INDEX = (EXPERIMENTS / "README.md").read_text()


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "REPORT.json").read_text())
    return found


def named(folder: Path) -> Any:
    return folder.name


def test_there_are_reports() -> None:
    assert REPORTS


@pytest.mark.parametrize("folder", REPORTS, ids=named)
def test_a_report_is_of_the_study_file_beside_it(folder: Path) -> None:
    settings = load(EXPERIMENTS / f"{folder.name}.yaml")
    assert settings.evaluation is not None
    assert {row["protocol"] for row in rows(folder)} == {settings.evaluation.protocol}
    assert {tuple(row["seeds"]) for row in rows(folder)} == {settings.evaluation.seeds}
    text = (folder / "REPORT.md").read_text()
    (written,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    split = settings.split.for_training()  # which reports of version 0.1 write out
    found = parse(from_yaml(written), "the report")
    assert found.evaluation is not None
    methods = found.evaluation.methods
    added = {name: one for name, one in methods.items() if name not in settings.evaluation.methods}
    assert all(one.baseline is not None for one in added.values())
    update = {"methods": {**settings.evaluation.methods, **added}, "baselines": found.evaluation.baselines}
    evaluation = settings.evaluation.model_copy(update=update)
    found = found.model_copy(update={"split": found.split.for_training()})
    assert found == settings.model_copy(update={"split": split, "evaluation": evaluation})
    assert {row["method"] for row in rows(folder)} == set(methods)
    assert "Not complete" not in text  # reports of version 0.1
    assert "**Incomplete:**" not in text
    assert "not committed" not in text


@pytest.mark.parametrize("folder", REPORTS, ids=named)
def test_the_rows_of_a_report_follow_from_its_participants(folder: Path) -> None:
    table = rows(folder)
    (everybody,) = {tuple(sorted(row["participants"])) for row in table}
    assert len(everybody) >= 2
    for row in table:
        for score in ("f1", "kappa"):
            values = [one[score] for one in row["participants"].values() if one[score] is not None]
            assert row[f"{score}_mean"] == pytest.approx(fmean(values))
            assert row[f"{score}_low"] <= row[f"{score}_mean"] <= row[f"{score}_high"]
        assert row["run_ids"]


@pytest.mark.parametrize("folder", REPORTS, ids=named)
def test_a_report_opens_with_its_best_method_and_shows_few_small_pictures(folder: Path) -> None:
    text = (folder / "REPORT.md").read_text()
    best = rows(folder)[0]
    title, opening = text.split("\n\n")[:2]
    assert title == f"# Study {folder.name}"
    assert f"`{best['method']}" in opening
    assert f"{best['kappa_mean']:.3f}" in opening
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text))
    assert 1 <= len(pictures) <= 4
    assert all((folder / name).stat().st_size <= MOST_BYTES for name in pictures)


def tables() -> list[list[list[str]]]:
    """The tables of the index: cells by row, without the line below the heads."""
    blocks = re.findall(r"(?:^\|.*\n)+", INDEX, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


def answers() -> Mapping[str, str]:
    """What the index says of each report: the row with its link, or the column where a row has several links.

    Differences of two methods are left out; they are computed below.
    """
    found = {}
    for table in tables():
        table = [row for row in table if " minus " not in row[0]]
        for row in table:
            links = {i: link[1] for i, cell in enumerate(row) if (link := re.search(r"\]\((\w+)/REPORT\.md\)", cell))}
            for place, name in links.items():
                found[name] = " ".join(row if len(links) == 1 else [line[place] for line in table])
    return found


def test_the_index_has_every_report() -> None:
    assert sorted(answers()) == [folder.name for folder in REPORTS]


@pytest.mark.parametrize("name", sorted(answers()))
def test_every_figure_of_the_index_is_in_the_report(name: str) -> None:
    text = (EXPERIMENTS / name / "REPORT.md").read_text()
    figures = re.findall(r"0\.\d{3}", answers()[name])
    assert figures
    assert [figure for figure in figures if figure not in text] == []


NETWORKS = ("networks_adl", "networks_smartwatch", "networks_wisdm")
OWN_DATA = ("own_data_adl", "own_data_smartwatch", "own_data_wisdm")
DIFFERENCES = {
    "`no pre-training` minus the best baseline": (NETWORKS, "no pre-training", None),
    "average of the pre-trained minus the best baseline": (NETWORKS, "average of the pre-trained", None),
    "average of the methods of `own_data.yaml` minus the best baseline": (NETWORKS, "average of own_data.yaml", None),
    "`hidden_half` minus `no pre-training`": (NETWORKS, "hidden_half", "no pre-training"),
    "`contrastive` minus `no pre-training`": (NETWORKS, "contrastive", "no pre-training"),
    "a single network minus the best baseline": (OWN_DATA, "no pre-training", None),
    "average of three seeds minus the best baseline": (OWN_DATA, "average of no pre-training", None),
    "average with baselines minus the best baseline": (OWN_DATA, "average", None),
}


@pytest.mark.parametrize(("title", "what"), DIFFERENCES.items(), ids=DIFFERENCES)
def test_the_differences_of_the_index_follow_from_the_participants(
    title: str, what: tuple[tuple[str, ...], str, str | None]
) -> None:
    folders, method, reference = what
    (said,) = [row[1:] for table in tables() for row in table if row[0] == title]
    for text, name in zip(said, folders, strict=True):
        known = {row["method"]: row for row in rows(EXPERIMENTS / name)}
        baselines = [known[one] for one in ("minirocket", "extra_trees", "random_forest")]
        best = max(baselines, key=lambda row: row["kappa_mean"])["method"]
        one, other = (
            pd.Series({who: scores["kappa"] for who, scores in known[name]["participants"].items()})
            for name in (method, reference or best)
        )
        assert difference(one, other).interval.text("+") == text
