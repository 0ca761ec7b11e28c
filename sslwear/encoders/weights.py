"""Reading and writing of weights: published checkpoints, torch.hub, and checkpoints of this package."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sslwear.encoders.average import BLOCK
from sslwear.encoders.base import Encoder, Network
from sslwear.errors import WeightsError
from sslwear.utils.paths import is_file

log = logging.getLogger(__name__)

HUB_REPOSITORY = "OxWearables/ssl-wearables"
HUB_COMMIT = "24176102ee6e02a6179c48eea473a3db6b08eb72"
"""Commit of the repository, which contains the weights and the code that `torch.hub` runs."""
HUB_ENCODERS = ("harnet5", "harnet10", "harnet30")
"""Encoders with published weights."""
HUB_TERMS = f"https://github.com/{HUB_REPOSITORY}/blob/{HUB_COMMIT}/LICENSE.md"
HUB_LICENCE = (
    "The harnet weights that torch.hub fetches from OxWearables/ssl-wearables are published for academic use only. "
    f"Their licence: {HUB_TERMS}"
)
HUB_CONSENT = "SSLWEAR_HUB_LICENCE"
"""Environment variable by which a user accepts the licence where nobody can be asked: ``accepted``."""
PREFIX = "module."
BODY = "feature_extractor."


def save(network: Network, path: Path) -> None:
    """Write all tensors of a network to a safetensors file, buffers included."""
    save_file({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}, path)


def read(path: Path) -> dict[str, Tensor]:
    """State dict from a ``.safetensors`` file or a PyTorch checkpoint (``.mdl``, ``.pt``); only tensors are unpickled.

    Raises:
        WeightsError: when the file does not exist or is not a state dict.
    """
    if not is_file(path):
        raise WeightsError(f"weights: there is no file {path}; give the path of a checkpoint")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the format of a pickle, which is refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise many kinds of errors for damaged files
        raise WeightsError(
            f"weights: {path} is not a checkpoint that can be read safely ({_first_line(error)}); "
            "give a state dict saved by torch.save or safetensors"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise WeightsError(f"weights: {path} holds something other than a state dict; save model.state_dict() instead")
    return dict(state)


def load_encoder(encoder: Encoder, state: Mapping[str, Tensor], origin: str) -> int:
    """Copy a checkpoint's ``feature_extractor`` tensors into an encoder; heads are ignored.

    Args:
        encoder: changed in place, but only if every tensor is found with the right shape.
        state: tensors by name; a leading ``module.`` is dropped.
        origin: source of the tensors, for messages.

    Returns:
        The number of tensors copied: all of the encoder's (131 for a harnet).

    Raises:
        WeightsError: when a tensor is missing, unknown, of another shape, or has NaN or infinite values; the message
            names it.
    """
    target = encoder.feature_extractor.state_dict()
    found = {}
    for key, value in state.items():
        name = key.removeprefix(PREFIX)
        if name.startswith(BODY):
            found[name.removeprefix(BODY)] = value
    if any(name.startswith(f"{BLOCK}.") for name in found):
        raise WeightsError(
            f"weights: {origin} averages several networks, and no training can start from these. Give one of them, "
            "runs:/ID; the model card has their runs"
        )
    problems = [f"{name} is missing" for name in target if name not in found]
    problems += [f"{name} is not in {encoder.name}" for name in found if name not in target]
    problems += [
        f"{name} has shape {list(found[name].shape)} where {encoder.name} has {list(target[name].shape)}"
        for name in target
        if name in found and found[name].shape != target[name].shape
    ]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        matching = sum(name in found and found[name].shape == target[name].shape for name in target)
        raise WeightsError(
            f"weights: {origin} does not fit {encoder.name}, {matching} of {len(target)} tensors match: "
            f"{'; '.join(problems[:5])}{more}; choose the encoder that it was made for"
        )
    unusable = [f"{name} {reason}" for name in target if (reason := _unusable(found[name], target[name]))]
    if unusable:
        raise WeightsError(f"weights: {origin} cannot be used, {unusable[0]}; give another checkpoint")
    encoder.feature_extractor.load_state_dict(found)
    return len(found)


def _unusable(value: Tensor, target: Tensor) -> str | None:
    """Reason why a tensor of the right shape cannot be used; None if it can."""
    if value.layout != torch.strided or (target.is_floating_point() and not value.is_floating_point()):
        return f"is of {value.dtype} ({value.layout}) where {target.dtype} is wanted"
    return None if bool(value.isfinite().all()) else "has NaN or infinite values"


def load_network(network: Network, state: Mapping[str, Tensor], origin: str) -> None:
    """Copy a checkpoint of this package, encoder and head, into a network.

    Raises:
        WeightsError: when names or shapes differ.
    """
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise WeightsError(f"{origin} does not fit this network: {' '.join(str(error).split())}") from error


def from_hub(
    name: str, repository: str = HUB_REPOSITORY, source: Literal["github", "local"] = "github"
) -> dict[str, Tensor]:
    """Published weights of an encoder, downloaded through `torch.hub` from a fixed commit.

    Before the first download the user is asked to accept the licence. The answer is kept in the folder of `torch.hub`.

    Args:
        name: name of the encoder and of the hub's entry point.
        repository: a GitHub repository, or a folder with a ``hubconf.py`` when `source` is ``local``.
        source: kind of `repository`.

    Raises:
        WeightsError: when the licence is not accepted, the hub cannot be reached or it does not have the encoder.
    """
    if source == "github" and name not in HUB_ENCODERS:
        raise WeightsError(
            f"weights: {name} has no published weights, but {', '.join(HUB_ENCODERS)} have. Use weights: none, or give "
            "the path of a checkpoint"
        )
    log.warning(HUB_LICENCE)
    pinned = repository
    if source == "github":
        _ask_for_consent()
        pinned = f"{repository}:{HUB_COMMIT}"
    try:
        # the validation only knows the newest commits of branches; a full hash names the content anyway
        model = torch.hub.load(  # type: ignore[no-untyped-call]
            pinned, name, source=source, pretrained=True, trust_repo=True, skip_validation=True
        )
        state: dict[str, Tensor] = model.state_dict()
    except Exception as error:  # the code of the remote repository may raise anything
        raise WeightsError(
            f"weights: torch.hub could not load {name} from {repository} ({type(error).__name__}: "
            f"{_first_line(error)}); check the network, or download the checkpoint and give its path"
        ) from error
    return state


def _ask_for_consent() -> None:
    """Ask once whether the user accepts the licence of the hub's weights, which was logged before.

    Raises:
        WeightsError: when the user does not, or cannot be asked.
    """
    kept = Path(torch.hub.get_dir()) / f"sslwear-licence-accepted-{HUB_COMMIT[:12]}"
    if kept.is_file():
        return
    accepted = os.environ.get(HUB_CONSENT, "").lower() == "accepted"
    if not accepted and sys.stdin is not None and sys.stdin.isatty():
        question = f"Do you accept the licence of these weights ({HUB_TERMS}), for academic use only? [y/N] "
        accepted = input(question).strip().lower() in ("y", "yes")
    if not accepted:
        raise WeightsError(
            f"weights: hub is not used, because its licence was not accepted. {HUB_LICENCE} Run the command in a "
            f"terminal and accept it, or set {HUB_CONSENT}=accepted"
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()


def _first_line(error: BaseException) -> str:
    """First line of an error without terminal colours; the name of its class if the line has no words."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", next(iter(str(error).splitlines()), "")).strip()
    return line if re.search("[A-Za-z]", line) else type(error).__name__
