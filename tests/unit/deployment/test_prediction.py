"""What labelling may write, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.deployment.prediction import Options, _named
from sslwear.errors import DataError


def test_a_recording_is_not_taken_for_an_old_table(tmp_path: Path) -> None:
    """A table in the other format, of an earlier call, is replaced; a recording of that name is not."""
    recording = tmp_path / "monday.csv"
    recording.write_text("time,x,y,z\n")
    for overwrite in (False, True):
        options = Options(tmp_path, "parquet", None, "cpu", "float32", overwrite)
        with pytest.raises(DataError, match="is one of the recordings and would be written over"):
            _named([recording], options)


def test_an_old_table_in_another_format_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "monday.csv").write_text("notes")
    recording = tmp_path / "raw" / "monday.cwa"
    with pytest.raises(DataError, match=r"monday.csv is there already; .* --overwrite"):
        _named([recording], Options(tmp_path, "parquet", None, "cpu", "float32", False))
    assert list(_named([recording], Options(tmp_path, "parquet", None, "cpu", "float32", True))) == ["monday"]
