"""Names of every kind are shown in figures as they are, without formulas, formatting or a picture of any size."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from sslwear.reports.inline_svg import inline_svg
from sslwear.reports.plain_text import MOST_CHARACTERS, plain
from sslwear.reports.report_figures import small_png
from sslwear.reports.training_figures import confusion_figure
from sslwear.tracking import Store


def drawn(text: str) -> str:
    figure = Figure()
    return str(figure.text(0, 0, text)._preprocess_math(text)[0])


@pytest.mark.parametrize("name", ["walk", "$x^{$", "$a$", "a$b", "50 %", "x_1", "\\frac", "Öl", "a\\$b"])
def test_a_name_is_drawn_as_it_is(name: str) -> None:
    assert drawn(plain(name)) == name


def test_a_legend_shows_a_name_that_begins_with_an_underscore() -> None:
    axes = Figure().subplots()
    axes.plot([0], label=plain("_walk"))
    assert [text.get_text().strip() for text in axes.legend().get_texts()] == ["_walk"]


def test_control_characters_are_escaped() -> None:
    assert plain("\x1b[2J") == "\\x1b[2J"


def test_a_picture_does_not_grow_with_the_length_of_a_name() -> None:
    figure = confusion_figure(np.eye(2, dtype=np.int64), ["x" * 5000, "$y^{$"], "title")
    assert max(figure.get_size_inches()) < 0.2 * MOST_CHARACTERS
    figure.savefig(io.BytesIO(), dpi=50)


@pytest.mark.parametrize("save", [small_png, lambda figure: inline_svg(figure, "one")])
def test_letters_that_the_font_lacks_are_no_warning(save: Callable[[Figure], object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(confusion_figure(np.eye(2, dtype=np.int64), ["走", "坐"], "x"))


def test_letters_that_the_font_lacks_are_no_warning_in_a_figure_of_a_run(store: Store) -> None:
    run = store.create_run(store.experiment("tiny"), "some", "train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.figure(confusion_figure(np.eye(2, dtype=np.int64), ["走", "坐"], "x"), "confusion.png")
