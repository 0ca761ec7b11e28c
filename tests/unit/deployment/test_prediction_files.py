"""Output files of a prediction: what is overwritten and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.deployment.prediction.files import Options, check_outputs, earlier_outcome
from sslwear.errors import DataError


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    """A table in the other format, of an earlier call, is replaced; a recording of that name is not."""
    recording = tmp_path / "monday.csv"
    recording.write_text("time,x,y,z\n")
    for overwrite in (False, True):
        options = Options(tmp_path, "parquet", None, "cpu", "float32", overwrite)
        with pytest.raises(DataError, match="is one of the recordings and would be overwritten"):
            check_outputs([recording], options)


def test_a_table_in_another_format_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    (tmp_path / "monday.csv").write_text("notes")
    recording = tmp_path / "raw" / "monday.cwa"
    with pytest.raises(DataError, match=r"monday.csv exists already. .* --overwrite"):
        earlier_outcome("monday", recording, "model", Options(tmp_path, "parquet", None, "cpu", "float32", False))
    assert earlier_outcome("monday", recording, "model", Options(tmp_path, "parquet", overwrite=True)) is None
