"""Loading in the public interface: settings, data sets, encoders, plug-ins and trained models."""

# Imports of other parts stay inside functions, so that loading an encoder imports neither MLflow nor Optuna.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sslwear.config import Settings
    from sslwear.data.dataset import Dataset
    from sslwear.encoders.base import Encoder
    from sslwear.encoders.classifier import Model


def load_settings(study: Settings | Mapping[str, Any] | str | Path, /, **changes: Any) -> Settings:
    """Read and validate the settings of a study.

    Args:
        study: the path of a study file, its content as a mapping, or settings. Relative paths in a mapping, also that
            of its ``base``, are relative to the working directory.
        **changes: values that replace the study's. A mapping changes single keys of a section, and None removes a key.

    Returns:
        Settings with every default filled in.

    Raises:
        SettingsError: when the file cannot be read, a key is unknown or would do nothing, or a value is not allowed.

    Example:
        >>> settings = sslwear.load_settings("my-study.yaml", training={"max_epochs": 5})
        >>> settings.training.max_epochs
        5
    """
    from sslwear.config import from_python

    return from_python(study, changes)


def load_dataset(data: str | Path) -> Dataset:
    """Open labelled windows and check every value in them.

    Args:
        data: a directory with ``X.npy`` (N, samples, 3) in g, ``Y.npy`` (N,) labels, ``pid.npy`` (N,) participants and
            ``T.npy`` (N,) start times; or the name of a source whose recordings are included, such as ``smartwatch``.

    Returns:
        The data set: ``windows`` (N, samples, 3) in g, memory-mapped; ``labels`` (N,), indices into ``class_names``;
        ``pid`` (N,); ``start`` (N,); ``describe()`` for a summary.

    Raises:
        DataError: when there is no such data set or it cannot be used; the message names the file.

    Example:
        >>> data = sslwear.load_dataset("my-data")
        >>> data.windows.shape
        (180, 150, 3)
        >>> print(data.describe())  # doctest: +ELLIPSIS
        data set      small (my-data)
        windows       180 of 150 samples x 3 axes, 5 s at 30 Hz, step 5 s
        ...
    """
    from sslwear.tracking import Store

    return Store.from_environment(write=False).open_dataset(str(data))


def load_encoder(name: str, weights: str | Path = "none") -> Encoder:
    """Make an encoder, with random or pre-trained weights.

    Args:
        name: the encoder, such as ``harnet10`` or ``cnn10``, or one of a plug-in, see `load_plugins`. The weights of a
            run or of a registered model bring the class of an encoder from a file with them.
        weights: ``none`` for random weights; ``hub`` for the published weights, which are downloaded and are for
            academic use only; the path of a checkpoint; ``runs:/ID`` or ``models:/NAME@alias``.

    Returns:
        A `torch.nn.Module` in evaluation mode. It maps float32 windows (B, 3, samples) in g at 30 Hz to features
        (B, features); ``window_samples`` and ``features`` are its attributes.

    Raises:
        SettingsError: when there is no such encoder.
        WeightsError: when the weights cannot be read or do not fit.

    Example:
        >>> encoder = sslwear.load_encoder("harnet10")
        >>> windows = torch.randn(2, 3, 300)
        >>> encoder(windows).shape
        torch.Size([2, 1024])
    """
    from sslwear.encoders.base import get
    from sslwear.encoders.weights import from_hub, load_encoder, read
    from sslwear.utils.paths import user_path

    origin = str(weights)
    if origin.startswith(("runs:/", "models:/")):
        from sslwear.tracking import Store, checkpoints

        return checkpoints.load_encoder(Store.from_environment(write=False), origin, name).eval()
    encoder = get(name)()
    if origin != "none":
        load_encoder(encoder, from_hub(name) if origin == "hub" else read(user_path(origin)), origin)
    return encoder.eval()


def load_plugins(*files: str | Path) -> None:
    """Load files of plug-ins, whose classes are found by their names from then on, as by a study's ``plugins``.

    Args:
        files: Python files with sources, augmentations, encoders, pretext tasks, tuning strategies or baselines.

    Raises:
        SettingsError: when a file cannot be loaded.

    Example:
        >>> sslwear.load_plugins("my_encoder.py")
        >>> sslwear.load_encoder("mine").window_samples
        150
    """
    from sslwear.utils.plugins import load_files

    load_files(files)


def load_model(reference: str) -> Model:
    """Load a trained classifier.

    Args:
        reference: ``NAME@alias`` or ``NAME/VERSION`` of a registered model, or ``runs:/ID`` of a run with weights.

    Returns:
        The classifier. ``predict`` takes windows (N, samples, 3) or (N, 3, samples) in g, at the rate and of the length
        that ``card`` gives, and returns a data frame with the column ``label`` and ``p_CLASS`` for each class.

    Raises:
        SslwearError: when there is no such model, or it has no checkpoint.

    Example:
        >>> model = sslwear.load_model("my-study@champion")
        >>> windows = sslwear.load_dataset("my-data").windows
        >>> list(model.predict(windows[:10]).columns)
        ['label', 'p_abduction', 'p_pendulum', 'p_upright row']
    """
    from sslwear.studies.database.optuna_storage import store_errors
    from sslwear.tracking import Store

    store = Store.from_environment(write=False)
    with store_errors(store):
        from sslwear.deployment.registry import load_model as load

        return load(store, reference)
