"""Figures inside a page are SVG with text, links and nothing from elsewhere."""

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from sslwear.reports.inline_svg import inline_svg

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


def figure() -> Figure:
    drawn = Figure(figsize=(4, 2))
    axes = drawn.subplots()
    axes.scatter([1, 2], [1, 2], urls=["#trial-1", "#trial-10"])
    axes.set_xlabel("a < b & c")
    return drawn


def test_text_stays_text_and_is_escaped() -> None:
    root = ET.fromstring(inline_svg(figure(), "one"))
    assert "a < b & c" in [text.text for text in root.iter(f"{SVG}text")]


def test_the_element_becomes_smaller_with_the_page() -> None:
    root = ET.fromstring(inline_svg(figure(), "one"))
    assert (root.tag, root.get("width"), root.get("height")) == (f"{SVG}svg", None, None)
    assert (root.get("viewBox"), root.get("style")) == ("0 0 288 144", "max-width: 288pt")


def test_links_stay_on_the_page_and_have_their_own_titles() -> None:
    root = ET.fromstring(inline_svg(figure(), "one", {"#trial-1": "a <i> & b", "#trial-10": "ten"}))
    links = list(root.iter(f"{SVG}a"))
    assert [link.get(LINK) for link in links] == ["#trial-1", "#trial-10"]
    assert [link.findtext(f"{SVG}title") for link in links] == ["a <i> & b", "ten"]
    assert {link.get("target") for link in links} == {None}


def test_two_figures_on_a_page_have_no_id_in_common() -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', inline_svg(figure(), name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_the_same_figure_gives_the_same_text_and_settings_are_kept() -> None:
    before = dict(mpl.rcParams)
    assert inline_svg(figure(), "one") == inline_svg(figure(), "one")
    assert dict(mpl.rcParams) == before


def test_fonts_styles_and_times_are_left_to_the_page() -> None:
    text = inline_svg(figure(), "one")
    assert text.startswith("<svg")
    assert not re.search(r"font-family|<style|<metadata|<!DOCTYPE|<\?xml", text)
