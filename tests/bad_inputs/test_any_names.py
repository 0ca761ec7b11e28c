"""Any names of participants, classes, recordings and studies: kept as written, harmless on a terminal and in a CSV."""

from __future__ import annotations

import csv
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sslwear.cli.tables import facts_table
from sslwear.config import from_python
from sslwear.data.checks import MISSING, is_missing
from sslwear.data.dataset import open_dataset
from sslwear.data.devices import recordings_by_name
from sslwear.data.tables.annotations import read_labels, read_participants
from sslwear.deployment.prediction.files import Options
from sslwear.encoders.classifier import table
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.daily import LabelledRecording, minutes
from sslwear.reports.training_figures import confusion_figure
from sslwear.utils.console import PlainConsole
from sslwear.utils.csv_cells import csv_text, original_cell
from tests.bad_inputs.answers import check_sentence

AWKWARD = [
    *["\x1b[2J", "\x1b]0;title\x07", "a\rb", "a\nb", "a\tb", "\u202eabc", "\x9b31m", "\u2028", "\ufeffa", "\ud7ff"],
    *["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "\t=1", '=HYPERLINK("http://example.org")', "a,b", 'a"b', "a;b"],
    *["[red]a[/red]", "[/]", ":smile:", "$x^{$", "$a$", "_a", "%s", "{a}", "a|b", "<b>", "\\", "#a", " a", "..", "a/b"],
    *[
        "\U0001f600",
        "\u0645\u0631\u062d\u0628\u0627",
        "o\u0308",
        "\uff11",
        "\u0131",
        "x" * 300,
        "1",
        "01",
        "1.0",
        "nan",
    ],
]
NAMES = (st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)).filter(
    lambda text: not is_missing(text)
) | st.sampled_from([name for name in AWKWARD if not is_missing(name)])
TWO = st.lists(NAMES, min_size=2, max_size=2, unique=True)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
START = np.datetime64("2024-05-01T12:00", "ns")


def bounded(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)


def is_active(cell: str) -> bool:
    """Whether a spreadsheet computes a cell."""
    return cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not NUMBER.fullmatch(cell)


def write(folder: Path, classes: list[str], people: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.05, (4, 30, 3))
    arrays = {"X": (noise + np.array([0, 0, 1])).astype("f4"), "Y": np.array(classes * 2), "pid": np.repeat(people, 2)}
    for name, array in {**arrays, "T": np.arange(4.0)}.items():
        np.save(folder / f"{name}.npy", array)
    return folder


@bounded(60)
@given(classes=TWO, people=TWO)
@example(classes=["=1+1", "\x1b[2J"], people=["a\rb", "[red]a[/red]"])
def test_names_of_a_data_set_are_kept_and_shown_without_effect(
    tmp_path: Path, classes: list[str], people: list[str]
) -> None:
    found = open_dataset(write(tmp_path / "data", classes, people))
    assert [found.class_names[label] for label in found.labels] == classes * 2
    same = {name.strip() for name in people}
    assert {name.strip() for name in found.participants} <= same
    shown = io.StringIO()
    console = PlainConsole(file=shown, width=2000)
    console.print(facts_table(found.describe()), markup=False)
    console.print(", ".join([*classes, *people]), highlight=False, soft_wrap=True)
    assert not CONTROL.search(shown.getvalue())
    assert all(name in shown.getvalue() for name in [*classes, *people] if name.isprintable())


@bounded(100)
@given(classes=TWO)
@example(classes=["=1+1", "@SUM(A1)"])
@example(classes=["'=1", "=1"])
def test_predictions_name_each_class_in_cells_without_formulas(classes: list[str]) -> None:
    codes = np.array([0, 1, 0, 1])
    found = LabelledRecording(
        "a", tuple(classes), START + np.arange(4) * np.timedelta64(5, "s"), 5.0, codes, np.zeros(4), START, START
    )
    labels = table(np.eye(2, dtype=np.float32)[codes], tuple(classes))
    for whole in (labels, minutes(found, "day"), minutes(found, "hour")):
        head, *rows = csv.reader(io.StringIO(csv_text(whole, "%.4f"), newline=""))
        assert [original_cell(cell) for cell in head] == list(whole.columns)
        assert not any(is_active(cell) for row in [head, *rows] for cell in row)
    _, *rows = csv.reader(io.StringIO(csv_text(labels), newline=""))
    assert [original_cell(row[0]) for row in rows] == classes * 2


@bounded(120)
@given(name=NAMES, label=NAMES)
def test_tables_of_recordings_keep_names_and_labels(tmp_path: Path, name: str, label: str) -> None:
    for file, head, rest in (("p.csv", "recording", [name, "x"]), ("l.csv", "participant", None)):
        with (tmp_path / file).open("w", encoding="utf-8", newline="") as written:
            writer = csv.writer(written)
            columns = ["recording", "participant"] if rest else ["participant", "start", "end", "label"]
            assert columns[0] == head
            writer.writerows([columns, rest or [name, "2024-05-01", "2024-05-02", label]])
    try:
        assert read_participants(tmp_path / "p.csv") == [(name.strip(), "x")]
        (interval,) = read_labels(tmp_path / "l.csv")
        assert (interval.participant, interval.label) == (name.strip(), label.strip())
    except DataError as error:
        check_sentence(error)
        assert is_missing(name) or is_missing(label) or not (name.strip() and label.strip())


@bounded(150)
@given(name=NAMES)
def test_outputs_of_a_recording_are_in_the_output_folder(name: str) -> None:
    file = Path("recordings") / f"{name.replace('/', '_')}.csv"
    try:
        ((found, path),) = recordings_by_name([file]).items()
    except DataError as error:
        check_sentence(error, "unknown ending")
        return
    assert path == file
    assert found == file.name.removesuffix(".csv")
    assert {output.parent for output in Options(Path("out")).outputs(found).values()} == {Path("out")}


@bounded(200)
@given(name=st.text(max_size=110) | st.sampled_from(AWKWARD) | st.from_regex(r"[a-z0-9._ -]{1,105}", fullmatch=True))
@example(name="a" * 101)
@example(name="..")
@example(name="a/b")
@example(name="")
def test_a_study_has_a_plain_name(name: str) -> None:
    methods = {"methods": {name: {}, "other": {"tuning": "head"}}}
    for content in ({"study": name}, {"study": "a", "evaluation": methods}):
        try:
            from_python({"data": "smartwatch", **content}, {})
        except SettingsError as error:
            check_sentence(error)
        else:
            assert name.isascii() or content["study"] != name
            assert len(name) <= 100
            assert not is_active(name)
            assert not CONTROL.search(name)
            assert not set(name) & set("/\\<>|$[]{}'\"")


@pytest.mark.parametrize("names", [AWKWARD[i : i + 10] for i in range(0, len(AWKWARD), 10)])
def test_a_figure_can_be_drawn_with_any_names(names: list[str]) -> None:
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font lacks
        confusion_figure(np.eye(len(names), dtype=np.int64), names, names[0]).savefig(drawn, dpi=20)
    assert drawn.getvalue().startswith(b"\x89PNG")


def test_names_that_stand_for_a_missing_value_are_left_out_of_these_tests() -> None:
    assert all(is_missing(name.upper()) for name in MISSING)
