"""Figures as SVG inside a page of HTML: small, with text that can be searched, and without network or scripts."""

from __future__ import annotations

import html
import io
import re
import threading
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

from sslwear.reports.plain_text import any_letters

STYLE = "svg * { stroke-linejoin: round; stroke-linecap: butt } svg text { font-family: Arial, Helvetica, sans-serif }"
"""Style of the figures for the page. The fonts are not wider than DejaVu Sans, by which figures are laid out."""
_LOCK = threading.Lock()
_LEFT_OUT = re.compile(
    r'^.*?(?=<svg)|<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>| font-family: [^;"]*;?'
    r'|(?<=<g) id="[^"]*"| target="_blank"| transform="rotate\(-?0 [^"]*"',
    re.DOTALL,
)
"""Declarations of XML, what the style of the page has, and ids of groups, which all figures have in common."""
_FONT = re.compile(r'font: ([\d.]+px) [^;"]*')
_SIZE = re.compile(r'(<svg[^>]*?) width="([\d.]+)pt" height="[\d.]+pt"')


def inline_svg(figure: Figure, name: str, titles: Mapping[str, str] | None = None) -> str:
    """A figure as an ``svg`` element that becomes smaller on a narrow page.

    Args:
        figure: the figure.
        name: name of the figure, different from the other figures' on the page, whose ids could be the same otherwise.
        titles: texts that a browser shows over a link of the figure, by its address.
    """
    buffer = io.StringIO()
    # matplotlib has these settings for all threads only
    with _LOCK, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), any_letters():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = _FONT.sub(r"font-size: \1", _LEFT_OUT.sub("", buffer.getvalue()))
    text = _SIZE.sub(r'\1 style="max-width: \2pt"', text, count=1)
    for address, title in (titles or {}).items():
        link = f'<a xlink:href="{html.escape(address)}">'
        text = text.replace(link, f"{link}<title>{html.escape(title)}</title>")
    return text.strip()
