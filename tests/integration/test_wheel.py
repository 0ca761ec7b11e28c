"""The built distributions are complete, and the wheel works outside of a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import sslwear
from sslwear.config import to_yaml
from tests.integration.conftest import tiny_content

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the source distribution, and the wheel that was built from it."""
    base = tmp_path_factory.mktemp("distributions")
    clone = base / "clone"
    for name in tracked():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(base / "dist"), str(clone)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return base / "dist"


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of a new virtual environment that has the wheel, and the dependencies of the running one."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    programs = place / "bin"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([programs / "python", "-c", query], capture_output=True, text=True, check=True).stdout
    # Nothing in a folder that a .pth file names is run, so that the editable sslwear of that folder stays invisible.
    (Path(packages.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = distributions.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-deps", "--quiet", wheel]
    subprocess.run(install, check=True)
    return programs


def tracked() -> set[str]:
    """The files of the repository, as Git lists them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a Git clone, in which the files could be listed")
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def run(command: list[str | Path], place: Path, **environment: str) -> str:
    """What a command prints that runs outside of the clone."""
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=place, env={**outside, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_source_distribution_has_every_file_of_the_repository(distributions: Path) -> None:
    (archive,) = distributions.glob(f"sslwear-{sslwear.__version__}.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert tracked() - names == set()


def test_the_wheel_has_the_package_and_nothing_else(distributions: Path) -> None:
    (wheel,) = distributions.glob(f"sslwear-{sslwear.__version__}-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked() if name.startswith("sslwear/")}
    assert "sslwear/py.typed" in names


def test_the_wheel_runs_a_study_outside_of_a_clone(installed: Path, small_folder: Path, tmp_path: Path) -> None:
    assert run([installed / "sslwear", "--version"], tmp_path).strip() == sslwear.__version__
    assert run([installed / "python", "-m", "sslwear", "--version"], tmp_path).strip() == sslwear.__version__
    place = run([installed / "python", "-c", "import sslwear; print(sslwear.__file__)"], tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent)
    content = {**tiny_content(small_folder), "trials": 1, "search": {"tuning": ["head", "layer5"]}}
    del content["pretraining"]  # no pretext task is searched
    (tmp_path / "study.yaml").write_text(to_yaml(content))
    home = str(tmp_path / "mlruns")
    run([installed / "sslwear", "study", "run", "study.yaml"], tmp_path, SSLWEAR_HOME=home)
    assert "Trial 0" in run([installed / "sslwear", "study", "show", "tiny"], tmp_path, SSLWEAR_HOME=home)
