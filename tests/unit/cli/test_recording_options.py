"""Options about files of the commands that read whole recordings."""

from __future__ import annotations

from pathlib import Path

from sslwear.cli.predict_options import NONWEAR_MINUTES, STILL_MG, expanded, reading_of


def test_the_default_options_change_nothing_of_how_files_are_read() -> None:
    found = reading_of(None, None, "g", None, None, None, "fixed", STILL_MG, NONWEAR_MINUTES)
    assert found.unless_default is None


def test_other_options_keep_the_unit() -> None:
    found = reading_of("t,a,b,c", None, "g", None, None, None, "fixed", STILL_MG, NONWEAR_MINUTES)
    assert found.unless_default is found
    assert (found.format.columns, found.format.unit) == (("t", "a", "b", "c"), "g")


def test_the_table_of_participants_beside_the_recordings_is_none(tmp_path: Path) -> None:
    for name in ("S01.csv", "S02.csv", "people of.csv"):
        (tmp_path / name).touch()
    files, others = expanded([tmp_path], tmp_path / "people of.csv")
    assert ([file.name for file in files], others) == (["S01.csv", "S02.csv"], [])


def test_what_an_earlier_command_wrote_beside_the_recordings_is_none(tmp_path: Path) -> None:
    made = [".csv", ".days.csv", ".hours.csv", ".bouts.csv", ".minutes.parquet", ".png", ".html", ".prediction.json"]
    for name in ("S01.cwa", "S02.cwa", "notes.csv", "people.csv", "people.parquet", "days.csv", "recordings.csv"):
        (tmp_path / name).touch()
    for ending in made:
        (tmp_path / f"S01{ending}").touch()
    files, others = expanded([tmp_path])
    assert ([file.name for file in files], others) == (["S01.cwa", "S02.cwa", "notes.csv"], [])


def test_a_file_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "S01.csv").touch()
    files, _ = expanded([tmp_path / "S01.csv", tmp_path, tmp_path / "." / "S01.csv"])
    assert [file.name for file in files] == ["S01.csv"]
