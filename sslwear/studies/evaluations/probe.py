"""Linear probes of an evaluation: features of a frozen encoder, the study's or one from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Network
from sslwear.encoders.foreign.base import features_network, get
from sslwear.errors import SettingsError
from sslwear.evaluation.probe import logistic_probabilities
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.training_run import first_encoder
from sslwear.tracking import Run
from sslwear.training import FrozenBlocks, Windows, outputs
from sslwear.utils import plugins


@dataclass(frozen=True)
class Probe:
    """A frozen encoder whose features are classified.

    Attributes:
        context: the context of a job.
        network: network whose output is the features.
        samples: length in samples to which windows are resampled.
        title: what it is, for descriptions.
        params: parameters of its run.
    """

    context: StudyContext
    network: Network
    samples: int
    title: str
    params: dict[str, Any]

    def fit(self, learnt: Sequence[Windows], asked: Windows) -> tuple[NDArray[np.float64], float]:
        """Fit to windows of participants, and give class probabilities of windows of others.

        Returns:
            Probabilities (n, classes), and the strength of the regularisation that was chosen.
        """
        dataset, rows = self.context.dataset, np.concatenate([windows.rows for windows in learnt])
        values = np.concatenate([self._features(windows) for windows in learnt])
        labels, groups = dataset.labels[rows], dataset.pid[rows]
        return logistic_probabilities(values, labels, groups, self._features(asked), len(dataset.class_names))

    def _features(self, windows: Windows) -> NDArray[np.float32]:
        """Features of windows (n, F), kept in the cache of the outputs of frozen blocks."""
        context = self.context
        settings = context.fit_settings(context.settings.training)
        self.network.to(settings.device).eval()
        blocks = FrozenBlocks(self.network, self.samples, settings.precision)
        source = context.cache.source(blocks, windows, 0, len(self.network.feature_extractor))
        found = outputs(self.network, self.samples, source, settings)
        if not np.isfinite(found).all():
            raise SettingsError(f"{self.title} gives features that are NaN or infinite. Correct the encoder")
        return found


def open_probe(
    context: StudyContext,
    foreign: str | None,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    progress: ProgressCallback,
) -> Probe:
    """The encoder of a probe.

    Args:
        context: the context of a job.
        foreign: name of an encoder from elsewhere; None for the study's, pre-trained if the settings ask for it.
        training: has the pretext task.
        run: the job's run.
        parent: id of the parent of the run of a pre-training.
        progress: receives the epochs of a pre-training.
    """
    if foreign is not None:
        network = foreign_network(foreign, context)
        samples = get(foreign).samples(_window_s(context, foreign, "encoder"))
        params = {**context.runtime_params(), "encoder": foreign, "weights": "its own", "precision": "float32"}
        return Probe(context, network, samples, f"`{foreign}`", params)
    encoder = first_encoder(context, training, run, parent, progress)
    network = Network(encoder, nn.Identity()).requires_grad_(False)
    params = {**context.runtime_params(), "pretext": training.pretext}
    return Probe(context, network, encoder.window_samples, f"`{encoder.name}`, frozen", params)


def foreign_network(name: str, context: StudyContext, key: str = "encoder") -> Network:
    """Network whose output is the features of an encoder from elsewhere for windows of the data set.

    Raises:
        SettingsError: when there is no such encoder, or it does not fit the windows.
    """
    return features_network(get(name, key), _window_s(context, name, key), key)


def foreign_content(name: str, weights: str, context: StudyContext) -> dict[str, Any]:
    """What the result of a probe of an encoder from elsewhere depends on, for keys; `weights` is their digest."""
    encoder = get(name)
    return {
        "probe": "logistic",
        "encoder": name,
        "weights": weights,
        "windows": [encoder.rate_hz, encoder.window_s, context.dataset.window_s],
        "device": context.device.type,
        "plugins": plugins.identity(encoder),
    }


def rate_warning(name: str, context: StudyContext) -> str | None:
    """Warning about windows with less than half of an encoder's rate, which lack frequencies that it may use."""
    encoder, recorded_hz = get(name), context.dataset.samples / _window_s(context, name, "encoder")
    if recorded_hz >= encoder.rate_hz / 2:
        return None
    return (
        f"the windows have {recorded_hz:g} Hz, and the encoder {name!r} takes {encoder.rate_hz:g} Hz: more than half "
        "of the frequencies that it may use are missing"
    )


def _window_s(context: StudyContext, name: str, key: str) -> float:
    """Length of the data set's windows in seconds.

    Raises:
        SettingsError: when it is not known.
    """
    seconds = context.dataset.window_s
    if seconds is None:
        raise SettingsError(
            f"{key}: {name!r} has a window length in seconds, and that of {context.settings.data} is not known. Add it "
            "to dataset.json as window_s"
        )
    return seconds
