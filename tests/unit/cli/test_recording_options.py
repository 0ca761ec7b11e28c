"""Options about files of the commands that read whole recordings."""

from __future__ import annotations

from sslwear.cli.predict_options import NONWEAR_MINUTES, STILL_MG, given_reading


def test_the_default_options_change_nothing_of_how_files_are_read() -> None:
    assert given_reading(None, None, "g", None, None, None, "fixed", STILL_MG, NONWEAR_MINUTES) is None


def test_other_options_keep_the_unit() -> None:
    found = given_reading("t,a,b,c", None, "g", None, None, None, "fixed", STILL_MG, NONWEAR_MINUTES)
    assert found is not None
    assert (found.format.columns, found.format.unit) == (("t", "a", "b", "c"), "g")
