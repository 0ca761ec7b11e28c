"""Parts of the pages about recordings and people: tables and whole pages, without scripts and without network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from sslwear.reports.inline_svg import STYLE
from sslwear.reports.study_page import PAGE_STYLE
from sslwear.utils.console import printable

WIDE_STYLE = """
body { max-width: 64rem }
table { font-size: .875rem } td, th { padding: .25rem .7rem .25rem .3rem }
tr.left td { color: #718096 } .why { white-space: normal; min-width: 12rem }
.key span { display: inline-block; margin-right: 1rem; white-space: nowrap }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px }
a { color: #2b6cb0 }
"""


def text(content: object) -> str:
    """A text as HTML shows it: without markup, and with control characters written out."""
    return escape(printable(str(content)))


def number(value: object, digits: int = 0) -> str:
    """A number with some digits; a dash where there is none."""
    if value is None or not np.isfinite(float(value)):  # type: ignore[arg-type]
        return "-"
    return f"{float(value):,.{digits}f}"  # type: ignore[arg-type]


def table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], words: Iterable[int] = ()) -> str:
    """A table that scrolls on a narrow page.

    Args:
        heads: titles of the columns.
        rows: class of each row, and its cells as HTML.
        words: columns that have words; the others have numbers, which are on the right.
    """
    left = set(words)

    def cell(tag: str, place: int, content: str) -> str:
        kind = "" if place in left else ' class="number"'
        return f"<{tag}{kind}>{content}</{tag}>"

    top = "".join(cell("th", place, text(head)) for place, head in enumerate(heads))
    body = "\n".join(
        f'<tr class="{kind}">{"".join(cell("td", place, one) for place, one in enumerate(cells))}</tr>'
        for kind, cells in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of two columns: names and values."""
    rows = "\n".join(f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in pairs)
    return f'<div class="wide"><table><tbody>\n{rows}\n</tbody></table></div>'


def page(title: str, about: str, parts: Iterable[str]) -> str:
    """A page as one file of HTML."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{PAGE_STYLE}{STYLE}{WIDE_STYLE}</style></head>\n<body>\n<h1>{text(title)}</h1>\n"
        f'<p class="about">{text(about)}</p>\n{body}\n</body></html>\n'
    )
