"""Makes the notebooks in this folder from the pages of the tutorial: ``python docs/notebooks/convert.py``.

The pages are the source. Code becomes code cells, and an output that a page shows below its code becomes the output of
that cell.
"""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
PAGES = sorted((FOLDER.parent / "tutorial").glob("[0-9]*.md"))
OUTPUT = re.compile(r"\A```\n(.*?)^```$\s*", re.DOTALL | re.MULTILINE)
"""A block without a language, at the start of the text below a code cell."""
TUTORIAL_LINK = re.compile(r"\]\((?![./]|\w+:)([^)]+)\)")
"""A link to a file beside the page."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook(page: Path) -> NotebookNode:
    """The notebook of a page."""
    source = jupytext.reads(page.read_text(encoding="utf-8"), fmt="md")
    cells: list[NotebookNode] = []
    for cell in source.cells:
        text = cell.source
        if cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(text))
            continue
        if cells and (shown := OUTPUT.match(text)):
            cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=shown[1])]
            text = text[shown.end() :]
        if text:
            cells.append(nbformat.v4.new_markdown_cell(TUTORIAL_LINK.sub(r"](../tutorial/\1)", text)))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # the same page gives the same notebook
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def path(page: Path) -> Path:
    """Place of the notebook of a page."""
    return FOLDER / f"{page.stem}.ipynb"


def text(page: Path) -> str:
    """Content of the notebook file of a page."""
    made = notebook(page)
    nbformat.validate(made)
    return f"{nbformat.writes(made)}\n"


if __name__ == "__main__":
    for one in PAGES:
        path(one).write_text(text(one))
