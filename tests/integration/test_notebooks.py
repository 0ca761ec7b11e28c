"""The notebooks of the tutorial are those of its pages, and run at the smallest sizes."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import open_dataset
from sslwear.encoders.weights import HUB_COMMIT, HUB_CONSENT

nbformat = pytest.importorskip("nbformat", reason="pip install 'sslwear[notebooks]'")
nbclient = pytest.importorskip("nbclient", reason="pip install 'sslwear[notebooks]'")
pytest.importorskip("jupytext", reason="pip install 'sslwear[notebooks]'")

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = sorted(TUTORIAL.glob("[0-9]*.md"))
SMALLER = {
    r"\bsmartwatch\b": "some",
    r"(max_epochs\W+)\d+": r"\g<1>1",
    r"(\"folds\": )\d+": r"\g<1>2",
}
"""What is replaced so that a notebook takes seconds."""
ENCODERS = {"1-encoder": "harnet5", "2-surgical": "cnn10", "3-pretext": "cnn10"}
"""Encoder that replaces harnet10; the first notebook asks for published weights, which only harnets have."""
HUBCONF = """
dependencies = ["torch"]
from sslwear.encoders.harnet import Harnet5

def harnet5(pretrained=False, **kwargs):
    return Harnet5()
"""
"""In the place where torch.hub keeps what it fetched before."""
SHOWN = {
    "1-encoder": {"image/png"},
    "2-surgical": {"text/html", "text/markdown", "image/png"},
    "3-pretext": {"text/markdown"},
}
"""Kinds of rich output of each notebook, beside progress: figures, data frames, the result of an evaluation."""
MAX_BYTES = 400_000


def converter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert", ROOT / "docs" / "notebooks" / "convert.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_that_of_its_page(page: Path) -> None:
    convert = converter()
    assert convert.path(page).read_text() == convert.text(page), "run python docs/notebooks/convert.py"


@pytest.mark.slow
def test_every_notebook_has_a_page() -> None:
    notebooks = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
    assert [notebook.stem for notebook in notebooks] == [page.stem for page in PAGES]
    assert len(PAGES) == 3


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_notebook_leads_somewhere(page: Path) -> None:
    cells = [cell.source for cell in converter().notebook(page).cells if cell.cell_type == "markdown"]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", "\n".join(cells)) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / "docs" / "notebooks" / link).exists()] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, smartwatch_folder: Path) -> Path:
    """A folder with a small data set, a store, and the hub's weights as if they were downloaded before."""
    place = tmp_path_factory.mktemp("tutorial")
    whole = open_dataset(smartwatch_folder)
    rows = np.arange(0, len(whole), 10)
    names = np.array(whole.class_names)[whole.labels]
    description = Description(name="some", class_names=whole.class_names, rate_hz=30, window_s=10)
    arrays = (np.array(whole.windows[rows]), names[rows], whole.pid[rows], whole.start[rows])
    write_dataset(place / "some", *arrays, description)
    repository = place / "hub" / "hub" / f"OxWearables_ssl-wearables_{HUB_COMMIT}"
    repository.mkdir(parents=True)
    (repository / "hubconf.py").write_text(HUBCONF)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_runs_and_shows_what_its_page_shows(page: Path, place: Path) -> None:
    notebook = converter().notebook(page)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = smaller(cell.source).replace("harnet10", ENCODERS[page.stem])
    wanted = lines(notebook)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(place)}})
    client.execute(env=environment(place))
    assert wanted <= lines(notebook)
    kinds = {kind for output in outputs(notebook) for kind in output.get("data", {})}
    assert SHOWN[page.stem] <= kinds
    assert len(nbformat.writes(notebook)) < MAX_BYTES
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text()):
        assert (TUTORIAL / picture).stat().st_size < 200_000
        assert list(place.rglob(picture)), f"{picture} is not made by the code that is shown"


def environment(place: Path) -> dict[str, str]:
    program = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SSLWEAR_HOME": str(place / "mlruns"),
        "TORCH_HOME": str(place / "hub"),
        HUB_CONSENT: "accepted",
    }


def smaller(text: str) -> str:
    for pattern, replacement in SMALLER.items():
        text = re.sub(pattern, replacement, text)
    return text


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def lines(notebook: Any) -> set[str]:
    """Lines that the code cells print, without numbers."""
    printed = "".join(output.text for output in outputs(notebook) if output.get("name") == "stdout")
    return {re.sub(r" +", " ", re.sub(r"-?\d[\d,.]*", "#", line)).strip() for line in printed.splitlines()}
