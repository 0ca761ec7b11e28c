"""Functions of the public interface: run studies and evaluations, and load data sets, encoders and models.

Results are kept in the store that the environment variable ``SSLWEAR_HOME`` names, by default the folder ``mlruns``
below the current folder. What a user can correct raises a subclass of `sslwear.SslwearError`.
"""

# Imports of other parts stay inside functions, so that loading an encoder imports neither MLflow nor Optuna.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sslwear.api.results import EvaluationResult, PretrainingResult, StudyResult, TrainingResult

if TYPE_CHECKING:
    from sslwear.config import Settings
    from sslwear.data.dataset import Dataset
    from sslwear.deployment.promotion import Promotion
    from sslwear.encoders.base import Encoder
    from sslwear.encoders.classifier import Model
    from sslwear.studies.progress import ProgressCallback


def load_settings(study: Settings | Mapping[str, Any] | str | Path, **changes: Any) -> Settings:
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


def run_study(
    study: Settings | Mapping[str, Any] | str | Path, *, trials: int | None = None, progress: bool = True
) -> StudyResult:
    """Run a study, or resume it: Optuna proposes trials, each trains a network, and MLflow keeps everything.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        trials: total number of trials; by default the study's.
        progress: whether to show progress, on a terminal or in a notebook.

    Returns:
        The finished study. Its best trial was scored on the test participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, the weights were trained on test participants,
            the study was started with other settings, or no trial finished.

    Example:
        >>> study = sslwear.run_study("my-study.yaml", trials=2)
        >>> list(study.trials["outcome"])
        ['finished', 'finished']
        >>> study.best.score == float(study.trials["kappa"].max())
        True
        >>> study.best.settings.training.tuning, study.best.weights[:6]
        ('head', 'runs:/')
        >>> figure = study.plot()
    """
    from sslwear.config import from_python
    from sslwear.studies.optimise import run_study as run

    settings = from_python(study, {} if trials is None else {"trials": trials}, "study")
    with _progress(progress, epochs=False) as callback:
        return StudyResult(run(settings, progress=callback))


def evaluate(question: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> EvaluationResult:
    """Run an evaluation, or resume it: methods are compared on held-out participants.

    Args:
        question: a study with a section ``evaluation``: the path of its file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Returns:
        Scores of the test participants, and comparisons with the first method.

    Raises:
        SslwearError: when settings, data or weights cannot be used, a network would be trained on its test
            participants, or a job failed; finished jobs are kept.

    Example:
        >>> report = sslwear.evaluate("question.yaml")
        >>> list(report.summary["method"])
        ['head only', 'random forest']
        >>> report.comparisons.loc[0, ["method", "reference", "score"]].to_list()
        ['random forest', 'head only', 'kappa']
        >>> figure = report.plot()
    """
    from sslwear.config import from_python
    from sslwear.studies.cross_validation import evaluate_study

    settings = from_python(question, {}, "evaluate")
    with _progress(progress, epochs=False) as callback:
        return EvaluationResult(settings, evaluate_study(settings, progress=callback))


def train(study: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> TrainingResult:
    """Train once with the settings under ``training``, without a search; test participants are not used.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Raises:
        SslwearError: when settings, data or weights cannot be used.

    Example:
        >>> result = sslwear.train("my-study.yaml")
        >>> len(result.epochs), "kappa" in result.scores
        (1, True)
    """
    from sslwear.config import from_python
    from sslwear.studies.single_run import train_once
    from sslwear.tracking import RUN_URI

    with _progress(progress, epochs=True) as callback:
        run, fit = train_once(from_python(study, {}, "train"), progress=callback)
    return TrainingResult(f"{RUN_URI}{run.id}", dict(fit.validation.scores), fit)


def pretrain(study: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> PretrainingResult:
    """Pre-train on the pretext task ``training.pretext``, or find the earlier run with the same settings.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.

    Example:
        >>> changes = {"training": {"pretext": "reverse"}, "pretraining": {"max_epochs": 1}}
        >>> result = sslwear.pretrain(sslwear.load_settings("my-study.yaml", **changes))
        >>> sorted(result.scores)
        ['accuracy', 'chance']
    """
    from sslwear.config import from_python
    from sslwear.studies.single_run import pretrain_once
    from sslwear.tracking import RUN_URI

    with _progress(progress, epochs=True) as callback:
        run_id, scores = pretrain_once(from_python(study, {}, "pretrain"), progress=callback)
    return PretrainingResult(f"{RUN_URI}{run_id}", scores)


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

    return Store.from_environment().open_dataset(str(data))


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

    origin = str(weights)
    if origin.startswith(("runs:/", "models:/")):
        from sslwear.tracking import Store, checkpoints

        return checkpoints.load_encoder(Store.from_environment(), origin, name).eval()
    encoder = get(name)()
    if origin != "none":
        load_encoder(encoder, from_hub(name) if origin == "hub" else read(Path(origin).expanduser()), origin)
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
    from sslwear.utils.plugins import load_file

    for file in files:
        load_file(file)


def load_model(reference: str) -> Model:
    """Load a trained classifier.

    Args:
        reference: ``NAME@alias`` or ``NAME/VERSION`` of a registered model, or ``runs:/ID`` of a finished trial.

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
    from sslwear.studies.storage import store_errors
    from sslwear.tracking import Store

    store = Store.from_environment()
    with store_errors(store):
        from sslwear.deployment.registry import load_model as load

        return load(store, reference)


def promote(
    study: StudyResult | str,
    *,
    trial: int | None = None,
    name: str | None = None,
    alias: str = "champion",
    score: str | None = None,
    rule: Literal["mean", "interval"] = "mean",
    margin: float = 0.0,
    force: str | None = None,
) -> Promotion:
    """Score a trial and the champion on the test participants, and register the trial unless it is worse.

    Args:
        study: a study or its name.
        trial: number of a finished trial; by default the best one.
        name: name of the registered model; by default the study's.
        alias: alias that moves to the new version.
        score: score that is compared; by default the study's objective.
        rule: what must not be lower than the champion's: the ``mean`` difference over participants, or the lower end of
            its 95 % ``interval``, which needs at least five test participants.
        margin: difference that is still allowed.
        force: a reason to move the alias in any case, which is kept with the version.

    Returns:
        Scores, differences and the decision; ``moved`` says whether the alias moved, and ``reason`` why.

    Raises:
        SslwearError: when study, trial, data or weights cannot be used, or the two models cannot be compared.

    Example:
        >>> promotion = sslwear.promote("my-study")
        >>> promotion.name, promotion.alias, promotion.version
        ('my-study', 'champion', '1')
    """
    from sslwear.deployment.promotion import promote as promote_trial
    from sslwear.deployment.promotion_rule import Rule
    from sslwear.studies.storage import find_study, store_errors
    from sslwear.studies.trials import kept_settings
    from sslwear.tracking import Store

    store, study_name = Store.from_environment(), study if isinstance(study, str) else study.name
    with store_errors(store):
        objective = kept_settings(find_study(study_name, store)).objective
    return promote_trial(study_name, store, trial, name, alias, Rule(score or objective, rule, margin), force)


@contextmanager
def _progress(shown: bool, epochs: bool) -> Iterator[ProgressCallback]:
    """Progress on a terminal or in a notebook; elsewhere, and if not `shown`, only warnings, which are logged."""
    from rich.console import Console

    from sslwear.studies.progress import ConsoleProgress, ProgressCallback

    console = Console()
    if not shown or not (console.is_terminal or console.is_jupyter):
        yield ProgressCallback()
        return
    with ConsoleProgress(console, epochs) as progress:
        yield progress
