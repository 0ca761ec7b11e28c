"""What benchmarks share: the machine's description, stores, and sections of RESULTS.md."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from sslwear.studies.database.optuna_storage import open_storage
from sslwear.tracking import Store

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def describe() -> str:
    """One sentence about this machine."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    capable = [name for name, there in torch.cpu.get_capabilities().items() if there is True and "bf16" in name]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{os.cpu_count()} cores of {processor} ({', '.join(capable) or 'no native bf16'}), {memory:.0f} GB, {gpu}; "
        f"{platform.system()}, Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}"
    )


def peak_mb() -> float:
    """The most memory that this process has held at once, in MB (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def new_store(folder: Path, storage: str | None = None) -> Store:
    """A store with its databases made; `storage` is the address of Optuna's."""
    store = Store(folder, f"sqlite:///{folder / 'mlflow.db'}", storage or f"sqlite:///{folder / 'optuna.db'}")
    store.client.search_experiments()
    open_storage(store)
    return store


def write_section(heading: str, body: str) -> None:
    """Put a section into RESULTS.md, in place of the one with the same heading.

    Args:
        heading: without ``##``; it names the command.
        body: Markdown below it.
    """
    sections = RESULTS.read_text(encoding="utf-8").split("\n## ")
    new = f"{heading}\n\n{body.strip()}\n"
    titles = [section.split("\n", 1)[0] for section in sections]
    if heading in titles:
        sections[titles.index(heading)] = new
    else:
        sections.append(new)
    RESULTS.write_text("\n## ".join(section.rstrip() + "\n" for section in sections))
