"""Parts of the pages about studies, recordings and people, which have no scripts and need no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from sslwear.reports.inline_svg import STYLE
from sslwear.utils.console import printable

PAGE_STYLE = """
:root { color-scheme: light }
body { max-width: 48rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; color: #1a202c; background: #fff;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif }
h1 { font-size: 1.6rem; margin: 0 } h1, p { overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
.about, .note, figcaption, small { color: #4a5568 }
.about { margin: .2rem 0 1rem }
.note, figcaption { font-size: .875rem; margin: .4rem 0 }
.verdict { border-left: 4px solid #2b6cb0; background: #f0f5fb; padding: .7rem 1rem; margin: 1rem 0 }
.verdict p { margin: 0 } .verdict p:first-child { font-size: 1.1rem }
.warning { border-left: 4px solid #c05621; background: #fff5eb; padding: .7rem 1rem; margin: 1rem 0;
  overflow-wrap: anywhere }
.wide { overflow-x: auto }
.wide.trials { width: fit-content; min-width: 100%; max-width: min(100vw - 3.5rem, 84rem); position: relative;
  left: 50%; transform: translateX(-50%) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0 }
th, td { text-align: left; padding: .3rem .9rem .3rem .4rem; border-bottom: 1px solid #e2e8f0; vertical-align: top }
thead th { border-bottom: 2px solid #a0aec0; font-weight: 600; vertical-align: bottom }
small { display: block; font-weight: 400 } .wide td { white-space: nowrap }
.number { text-align: right }
table.trials { font-size: .8125rem } table.trials td, table.trials th { padding: .2rem .6rem .2rem .3rem }
tr.selected td { background: #fdf0e2 } tr.alike td { background: #edf4fc } tr.other td { color: #718096 }
tr:target td { outline: 2px solid #2b6cb0; outline-offset: -1px }
.mark { color: #2b6cb0; font-weight: 600 } .selected .mark { color: #c05621 }
figure { margin: .5rem 0 } svg { width: 100%; height: auto; display: block }
blockquote { margin: .5rem 0; padding-left: 1rem; border-left: 3px solid #cbd5e0 }
@media print { body { max-width: none; padding: 0; font-size: 10pt }
  .wide, .wide.trials { overflow: visible; max-width: none; position: static; transform: none }
  figure, tr, .verdict, .warning { break-inside: avoid } h2 { break-after: avoid } table.trials { font-size: 6pt }
  table.trials td, table.trials th { padding: .15rem .3rem .15rem 0 }
  table.trials td:not(.number) { white-space: normal }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact } }
"""
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


def figure(title: str, picture: str, caption: str) -> str:
    """A heading, and a picture with a caption."""
    return f"<h2>{text(title)}</h2>\n<figure>{picture}<figcaption>{text(caption)}</figcaption></figure>"


def warning_box(words: str | None) -> str:
    """A warning; empty for None."""
    return f'<div class="warning"><b>Warning:</b> {text(words)}</div>' if words else ""


def page(title: str, about: str, parts: Iterable[str], style: str = WIDE_STYLE) -> str:
    """A page as one file of HTML.

    Args:
        title: title and heading.
        about: line below the heading.
        parts: HTML of its parts; empty ones are left out.
        style: CSS beside `PAGE_STYLE`.
    """
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{PAGE_STYLE}{STYLE}{style}</style></head>\n<body>\n<h1>{text(title)}</h1>\n"
        f'<p class="about">{text(about)}</p>\n{body}\n</body></html>\n'
    )
