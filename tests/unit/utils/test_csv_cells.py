"""Names of participants and classes in CSV files that a spreadsheet opens."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.utils.csv_cells import csv_cell, csv_text, original_cell

FORMULAS = ['=HYPERLINK("http://evil.example","x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text_in_cells_and_in_names_of_columns(text: str) -> None:
    for column in (pd.Series([text, "walk"]), pd.Series([text, "walk"], dtype="category")):
        head, first, second = csv.reader(io.StringIO(csv_text(pd.DataFrame({text: column, "p": [0.25, 1.0]}), "%.3f")))
        assert head == [f"'{text}", "p"]
        assert first == [f"'{text}", "0.250"]
        assert second == ["walk", "1.000"]


@pytest.mark.parametrize("value", ["walk", "", "-1", "+1.5", "-2e-3", "a=b", "it's", "'quoted'", -3.5, None, 7])
def test_other_values_stay(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize("name", ["a\r", "a\rb", "a\nb", 'a"b', "a,b", "a\r\nb"])
def test_a_name_stays_in_its_cell(name: str) -> None:
    text = csv_text(pd.DataFrame({name: [name, "walk"]}))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[name], [name], ["walk"]]


@given(st.text() | st.sampled_from(FORMULAS) | st.sampled_from(["'=x", "''-x", "'walk", "'-1"]))
def test_what_is_read_again_is_what_was_written(text: str) -> None:
    assert original_cell(csv_cell(text)) == text
