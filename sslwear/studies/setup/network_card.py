"""Card of a network that a study trained."""

from __future__ import annotations

from sslwear.encoders.card import Card
from sslwear.studies.setup.context import StudyContext


def network_card(context: StudyContext, tuning: str, pretext: str, head: str) -> Card:
    """Card of a network of a study, see `Card`.

    Where windows of another duration were resampled to the encoder's length, the rate is the one after resampling,
    so that new recordings are stretched in time as the training windows were.
    """
    dataset, encoder = context.dataset, context.encoder
    seconds = dataset.window_s
    return Card(
        encoder=encoder.name,
        window_samples=encoder.window_samples,
        rate_hz=encoder.rate_hz if seconds is None else encoder.window_samples / seconds,
        training_samples=dataset.windows.shape[1],
        unit="g",
        class_names=dataset.class_names,
        dataset=dataset.description.name,
        fingerprint=dataset.fingerprint,
        licence=dataset.description.licence,
        tuning=tuning,
        pretext=pretext,
        precision=context.precision,
        head=head,
    )
