"""Package of a promoted model: an MLflow model with weights, card and the code that predicts.

It can be loaded without sslwear and without unpickling.
"""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from mlflow.models import ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, Schema, TensorSpec
from numpy.typing import NDArray

import sslwear
from sslwear.encoders import checksums, weights
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.card import CARD, CHECKPOINT, Card, write_encoder
from sslwear.errors import StudyError
from sslwear.utils import plugins

CODE = (
    "__init__.py",
    "data/__init__.py",
    "data/checks.py",
    "data/gravity.py",
    "data/start_times.py",
    "encoders",
    "errors.py",
    "utils/__init__.py",
    "utils/digests.py",
    "utils/paths.py",
    "utils/plugins.py",
)
"""Files and folders of this package that loading a model needs."""
NEEDED = ("torch", "numpy", "pandas", "safetensors")
"""Requirements of a model beside MLflow, pinned to the versions of its promotion."""
MODEL_CARD = "README.md"


def save(folder: Path, network: Network, card: Card, example: NDArray[np.float32], description: str) -> None:
    """Write a network as an MLflow model that can be loaded without this package and without unpickling.

    Args:
        folder: folder to create.
        network: network with the weights.
        card: description of the classifier.
        example: a few example windows (N, samples, 3) in g.
        description: the model card, Markdown, written beside the model as ``README.md``.
    """
    package = Path(sslwear.__file__).parent
    needed = [f"{name}=={metadata.version(name).split('+')[0]}" for name in NEEDED]
    plugin = plugins.distribution(get_encoder(card.encoder)) if card.has_encoder else None
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", "label"),
        *(ColSpec("float", f"p_{name}") for name in card.class_names),
    ]
    # With a strict schema MLflow would refuse float64, lists and one of the two layouts, with all data in its message.
    # The schema accepts everything, and the model's own check gives a short error.
    signature = ModelSignature(Schema([TensorSpec(np.dtype("O"), (-1,))]), Schema(outputs))
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = {"model": Path(temporary) / "model", "code": Path(temporary) / "code"}
        parts["model"].mkdir()
        weights.save(network, parts["model"] / CHECKPOINT)
        (parts["model"] / CARD).write_text(card.to_json(), encoding="utf-8")
        write_encoder(parts["model"], card)
        checksums.write(parts["model"])
        _copy(package, parts["code"] / package.name, CODE)
        save_model(
            folder,
            python_model=str(package / "deployment" / "mlflow_model.py"),
            artifacts={name: str(path) for name, path in parts.items()},
            pip_requirements=[*needed, *([plugin] if plugin is not None else [])],
            signature=signature,
            input_example=example,
            metadata={
                "input": f"windows {card.inputs}, any floating-point type, {card.unit}",
            },
        )
    (folder / MODEL_CARD).write_text(description, encoding="utf-8")


def check_encoder(encoder: type[Encoder]) -> None:
    """Check that a model can include its encoder: the file of a plug-in imports only what every model has.

    Raises:
        StudyError: naming what the file imports beside that.
    """
    content = plugins.source(encoder)
    if content is None:
        return
    parts = [part.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for part in CODE]
    ours = tuple(f"sslwear.{part}" for part in parts if part != "__init__")
    for node in ast.walk(ast.parse(content)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
            if node.module == "sslwear":
                names = [f"sslwear.{alias.name}" for alias in node.names]
        for name in names:
            known = name.partition(".")[0] in {*sys.stdlib_module_names, *NEEDED}
            if not known and name not in ours and not name.startswith("sslwear.encoders."):
                raise StudyError(
                    f"the file of the encoder {encoder.name!r} imports {name}, which a promoted model does not have. "
                    "Move the encoder into a file of its own, or into an installed package"
                )


def _copy(package: Path, place: Path, parts: Sequence[str]) -> None:
    """Copy some files and folders of a package."""
    for part in parts:
        target = place / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (package / part).is_dir():
            shutil.copytree(package / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(package / part, target)
