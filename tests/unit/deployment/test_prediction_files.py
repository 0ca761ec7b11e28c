"""Output files of a prediction: what is overwritten and what is not."""

from __future__ import annotations

import subprocess
import sys
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


WRITE = """
import sys
from pathlib import Path

import numpy as np
from tests.samples.predictions import write_prediction

write_prediction(Path(sys.argv[1]), "monday", ("rest", "walk"), np.zeros(90, int), "2024-05-01T10:00")
"""


def test_pages_are_utf_8_in_every_locale(tmp_path: Path) -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], env=plain, check=True)
    page = (tmp_path / "monday.html").read_text(encoding="utf-8")
    assert not page.isascii()
