"""Baselines that an evaluation compares although its file does not name them as methods."""

from __future__ import annotations

from sslwear.config import MethodSettings, Settings
from sslwear.evaluation.baselines.base import missing, own
from sslwear.studies.setup.names import check_baseline
from sslwear.utils import plugins


def with_baselines(settings: Settings) -> tuple[Settings, list[str]]:
    """Settings of an evaluation with the baselines of ``evaluation.baselines`` as its last methods.

    The result names all methods, so that it is the same evaluation wherever it is read: its ``baselines`` is ``none``.
    A method of the file that is one of these baselines is not added again.

    Returns:
        The settings, and a sentence on each baseline that is left out because a package is not installed.

    Raises:
        SettingsError: when a baseline that the file names does not exist or a package that it needs is not installed.
    """
    evaluation = settings.evaluation
    if evaluation is None:
        return settings, []
    plugins.load_files(settings.plugins)
    for name, method in evaluation.methods.items():
        if method.baseline is not None:
            check_baseline(method.baseline, f"evaluation.methods.{name}.baseline")
    wanted, notes = _wanted(evaluation.baselines)
    methods = dict(evaluation.methods)
    there = {method.baseline for method in methods.values()}
    for baseline in wanted:
        if baseline not in there:
            methods[_free(baseline, methods)] = MethodSettings(baseline=baseline)
    update = {"methods": methods, "baselines": "none"}
    return settings.model_copy(update={"evaluation": evaluation.model_copy(update=update)}), notes


def _wanted(baselines: str | tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Baselines to add, and sentences on those that are left out."""
    if baselines == "none":
        return [], []
    if baselines != "all":
        for name in baselines:
            check_baseline(name, "evaluation.baselines")
        return list(baselines), []
    lacking = {name: missing(baseline) for name, baseline in own().items()}
    there = [name for name, package in lacking.items() if package is None]
    notes = [f"the baseline {name} is left out: it needs {what}" for name, what in lacking.items() if what is not None]
    return there, notes


def _free(name: str, methods: dict[str, MethodSettings]) -> str:
    """The name, or a longer one if another method of the file has it."""
    while name in methods:
        name = f"{name} (baseline)"
    return name
