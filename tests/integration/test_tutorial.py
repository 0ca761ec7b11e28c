"""Every block of code in the tutorial runs, at the smallest sizes, and makes the pictures that are shown."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import open_dataset

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = sorted(TUTORIAL.glob("[0-9]*.md"))
SMALLER = {
    r"\bsmartwatch\b": "some",
    r"\bharnet10\b": "harnet5",
    r"(max_epochs\W+)\d+": r"\g<1>1",
    r"(folds: )\d+": r"\g<1>2",
}
"""What is replaced so that a page takes seconds."""
HUBCONF = """
dependencies = ["torch"]
from sslwear.encoders.harnet import Harnet5

def harnet5(pretrained=False, **kwargs):
    return Harnet5()
"""
"""In the place where torch.hub keeps what it fetched before."""


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        language: of its fence; nothing where it is what is printed.
        text: what is in it.
        before: what stands between it and the block before.
    """

    language: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The file that the page says it belongs in."""
        named = re.findall(r"(?:ave this as|Add to) `([^`]+)`", self.before)
        return named[-1] if named else None


def blocks(page: Path) -> list[Block]:
    text, found, end = page.read_text(), [], 0
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        found.append(Block(match[1], match[2], text[end : match.start()]))
        end = match.end()
    return found


def smaller(text: str) -> str:
    for pattern, replacement in SMALLER.items():
        text = re.sub(pattern, replacement, text)
    return text


def without_numbers(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"-?\d[\d,.]*", "#", text)).strip()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, smartwatch_folder: Path) -> Path:
    """The repository as a newcomer has it, with a small data set in it, and with the hub's weights at hand."""
    place = tmp_path_factory.mktemp("tutorial") / "clone"
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("sslwear", "tests/contracts"):
        shutil.copytree(ROOT / folder, place / folder, ignore=skipped)
    for file in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py"):
        shutil.copy(ROOT / file, place / file)
    whole = open_dataset(smartwatch_folder)
    rows = np.arange(0, len(whole), 10)
    names = np.array(whole.class_names)[whole.labels]
    description = Description(name="some", class_names=whole.class_names, rate_hz=30, window_s=10)
    arrays = (np.array(whole.windows[rows]), names[rows], whole.pid[rows], whole.start[rows])
    write_dataset(place / "some", *arrays, description)
    for branch in ("main", "master"):
        repository = place / "hub" / "hub" / f"OxWearables_ssl-wearables_{branch}"
        repository.mkdir(parents=True)
        (repository / "hubconf.py").write_text(HUBCONF)
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page: Path, clone: Path) -> None:
    shown, printed = "", ""
    runs = [block for block in blocks(page) if block.file is None]
    for block in blocks(page):
        if block.file is not None:
            with (clone / block.file).open("a") as file:
                file.write(smaller(block.text))
            continue
    for language, group in itertools.groupby(runs, key=lambda block: block.language or "python"):
        together = list(group)
        code = smaller("".join(block.text for block in together if block.language))
        shown += smaller("".join(block.text for block in together if not block.language))
        if code:
            printed += run(language, code, clone)
    wanted = {without_numbers(line) for line in shown.splitlines()}
    assert wanted <= {without_numbers(line) for line in printed.splitlines()}
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text()):
        assert (TUTORIAL / picture).stat().st_size < 200_000
        assert list(clone.rglob(picture)), f"{picture} is not made by the code that is shown"


def run(language: str, code: str, place: Path) -> str:
    """Run code as a reader would; returns what it printed."""
    program = Path(sys.executable).parent
    command = {"python": [sys.executable, "-c", code], "sh": ["bash", "-euc", code]}[language]
    environment = {
        **os.environ,
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(place),
        "SSLWEAR_HOME": str(place / "mlruns"),
        "TORCH_HOME": str(place / "hub"),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_pages_say_what_they_are_told_to_say() -> None:
    """No figure was forgotten, and every link leads somewhere."""
    assert len(PAGES) == 3
    for page in TUTORIAL.glob("*.md"):
        text = page.read_text()
        assert "RESULT" not in text
        links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
        assert [link for link in links if not (page.parent / link).exists()] == []
