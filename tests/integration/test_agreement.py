"""The ``sslwear agreement`` command: tables, pictures, groups, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs.answers import call, refusal
from tests.samples.predictions import write_prediction

CLASSES = ("sleep", "walk")
PEOPLE = [f"P{i:02}" for i in range(1, 8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions and labels of 7 people, of whom the first has no label and a stranger has one."""
    base = tmp_path_factory.mktemp("agreement")
    random = np.random.default_rng(0)
    rows, minutes = [], ["participant,label,minutes", "zoe,walk,3"]
    for i, name in enumerate(PEOPLE):
        codes = np.repeat(random.integers(0, 2, 20), 6)
        write_prediction(base / "pred", name, CLASSES, codes, "2024-05-01T12:00")
        wrong = np.where(random.random(20) < 0.2, 1 - codes[::6], codes[::6])
        for minute, code in enumerate(wrong if i else []):
            start, end = (f"2024-05-01 12:{value:02}" for value in (minute, minute + 1))
            rows.append(f"{name},{start},{end},{CLASSES[code]}")
        minutes += [f"{name},{one},{(wrong == k).sum()}" for k, one in enumerate(CLASSES) if i]
    (base / "intervals.csv").write_text("\n".join(["participant,start,end,label", *rows]) + "\n")
    (base / "minutes.csv").write_text("\n".join(minutes) + "\n")
    people = ["participant,sex,age", *(f"{name},{'fm'[i % 2]},{40 + i}" for i, name in enumerate(PEOPLE[:-1]))]
    (base / "people.csv").write_text("\n".join(people) + "\n")
    return base


@pytest.mark.usefixtures("drawn")
def test_intervals_by_sex(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    people = ("--people", folder / "people.csv", "--by", "sex")
    result = call("agreement", folder / "pred", folder / "intervals.csv", *people, "--out", out)
    assert result.exit_code == 0
    assert "All participants, minutes of the labelled time:" in result.stdout
    assert "sex: f, minutes of the labelled time:" in result.stdout
    assert "sslwear: 1 participant with predictions and no labels: P01\n" in result.stderr
    assert "sslwear: people.csv has no sex for P07\n" in result.stderr
    table = pd.read_csv(out / "agreement.csv")
    assert table["group"].tolist() == ["all", "all", "f", "f", "m", "m"]
    assert table["participants"].tolist() == [6, 6, 2, 2, 3, 3]
    each = pd.read_csv(out / "agreement_participants.csv")
    walk = each[each["class"] == "walk"]
    assert table["bias"][1] == pytest.approx((walk["predicted_minutes"] - walk["labelled_minutes"]).mean(), abs=1e-4)
    assert table["lower_limit_low"][1] < table["lower_limit"][1] < table["bias_low"][1] < table["bias"][1]
    confusion = pd.read_csv(out / "agreement_confusion.csv")
    assert confusion.groupby("group")["windows"].sum().to_dict() == {"all": 720, "f": 240, "m": 360}
    for name in ("agreement.png", "agreement_confusion.png"):
        assert (out / name).read_bytes()[:4] == b"\x89PNG"
    report = (out / "AGREEMENT.md").read_text()
    assert "## sex: m" in report
    assert "- 1 participant with predictions and no labels: P01." in report


@pytest.mark.usefixtures("drawn")
def test_minutes_without_a_folder_are_printed_only(folder: Path, tmp_path: Path) -> None:
    result = call("agreement", folder / "pred", folder / "minutes.csv")
    assert result.exit_code == 0
    assert "All participants, minutes:" in result.stdout
    assert "participants of scores" not in result.stdout
    assert "sslwear: 1 participant with labels and no predictions: zoe\n" in result.stderr
    assert call("agreement", folder / "pred", folder / "minutes.csv", "--out", tmp_path).exit_code == 0
    assert not (tmp_path / "agreement_confusion.csv").exists()


def test_refusals(folder: Path, tmp_path: Path) -> None:
    both = (folder / "pred", folder / "minutes.csv")
    assert "--by needs --people" in refusal("agreement", *both, "--by", "sex")
    assert "--people needs --by" in refusal("agreement", *both, "--people", folder / "people.csv")
    people = ("--people", folder / "people.csv", "--by")
    assert "has no column 'height'" in refusal("agreement", *both, *people, "height")
    table = tmp_path / "agreement.csv"
    table.write_text((folder / "minutes.csv").read_text())
    assert "would be overwritten" in refusal("agreement", folder / "pred", table, "--out", tmp_path)
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "agreement.days.csv").write_text("")
    assert "is the table of a recording" in refusal("agreement", *both, "--out", tmp_path / "named")
    assert "there is no file" in refusal("agreement", folder / "pred", tmp_path / "none.csv")
    many = tmp_path / "many.csv"
    many.write_text("participant,age\n" + "".join(f"P{i},{i}\n" for i in range(13)))
    assert "has 13 values, and at most 12" in refusal("agreement", *both, "--people", many, "--by", "age")
    many.write_text("participant,age\nP1,3\nP01,4\n")
    assert "lines 2 and 3: both are of 'P01'" in refusal("agreement", *both, "--people", many, "--by", "age")
    many.write_text("participant,age\nP1,\nP2,NA\n")
    assert "the column 'age' is empty" in refusal("agreement", *both, "--people", many, "--by", "age")
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot write to" in refusal("agreement", *both, "--out", blocked)
