"""The ``sslwear`` commands about registered models: promote, list, show, roll back, export, serve."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import friendly, say, standard_output, times, warn
from sslwear.deployment.server import LOOPBACK

if TYPE_CHECKING:
    from sslwear.tracking import Store

models_app = typer.Typer(no_args_is_help=True, help="List, show and roll back registered models.")

Alias = Annotated[str, typer.Option(metavar="NAME", help="The registry alias that moves.")]
Reference = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="A model that 'sslwear models list' shows.")]


class RuleKind(StrEnum):
    """When a newcomer is not worse than the champion."""

    MEAN = "mean"
    INTERVAL = "interval"


def promote(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")],
    trial: Annotated[int | None, typer.Option(metavar="N", help="A finished trial; the best one by default.")] = None,
    alias: Alias = "champion",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The model's name; the study's by default.")] = None,
    score: Annotated[
        str | None, typer.Option(metavar="SCORE", help="kappa, f1, ...; the study's objective by default.")
    ] = None,
    rule: Annotated[
        RuleKind, typer.Option(help="What must not be lower than the champion's: the mean, or the whole interval.")
    ] = RuleKind.MEAN,
    margin: Annotated[float, typer.Option(metavar="SCORE", help="How much lower is not worse.")] = 0.0,
    force: Annotated[str | None, typer.Option(metavar="REASON", help="Move it anyway; the reason is kept.")] = None,
) -> None:
    """Score a trial and the champion on the locked test participants, and promote it unless it is worse."""
    with friendly("the alias stands as it was"):
        from sslwear.cli.console_model import promotion_table
        from sslwear.deployment.promotion import Rule
        from sslwear.deployment.promotion import promote as promote_trial
        from sslwear.errors import SettingsError
        from sslwear.studies.storage import find_study, store_errors
        from sslwear.studies.trials import kept_settings
        from sslwear.tracking import Store

        if force is not None and not force.strip():
            raise SettingsError("--force: give the reason, which is kept with the version")
        store, console = Store.from_environment(), standard_output()
        with store_errors(store):
            objective = kept_settings(find_study(study, store)).objective
        found = promote_trial(study, store, trial, name, alias, Rule(score or objective, rule.value, margin), force)
        if found.scores:
            console.print(promotion_table(found))
        say(console, f"\nThe test participants of {study} were looked at {times(found.looks)} so far.")
        if found.moved:
            say(console, f"{found.name}@{alias} is version {found.version} now: {found.reason}.")
            say(console, f"Use it with: sslwear predict RECORDING --model {found.name}@{alias} --out DIR")
        elif found.version is not None and found.version == found.champion:
            say(console, f"Nothing to do: {found.reason}.")
        else:
            warn(f"{found.name}@{alias} stays version {found.champion}: {found.reason}; --force REASON moves it anyway")
            raise typer.Exit(1)


@models_app.command("list")
def models_list() -> None:
    """List registered versions, with aliases ready to paste and how often their test participants were looked at."""
    with friendly():
        from sslwear.cli.console_model import models_table
        from sslwear.deployment import registry
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        rows = []
        with store_errors(store):
            for model in registry.models(store):
                aliases = registry.aliases(store, model.name)
                for version in registry.versions(store, model.name):
                    rows.append((version, aliases.get(str(version.version), []), _looks(store, version.tags)))
        if not rows:
            say(console, "There is no registered model yet: promote a study's best trial with sslwear promote STUDY.")
            return
        console.print(models_table(rows))


@models_app.command("show")
def models_show(reference: Reference) -> None:
    """Show what a registered model is: its model card."""
    with friendly():
        from rich.markdown import Markdown

        from sslwear.deployment import registry
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        with store_errors(store):
            version = registry.find_version(store, reference)
            aliases = registry.aliases(store, version.name).get(str(version.version), [])
            looks = _looks(store, version.tags)
        text = ", ".join(f"{version.name}@{alias}" for alias in aliases) or "none"
        say(console, f"{version.name}/{version.version}, aliases: {text}")
        if looks:
            say(console, f"Test participants of its study: looked at {times(looks)} until now.")
        if forced := version.tags.get("sslwear.forced"):
            say(console, f"Promoted by force: {forced}")
        card = version.description or "It has no model card, because it was not promoted by sslwear."
        console.print(Markdown(card) if console.is_terminal else card, markup=False)


@models_app.command("rollback")
def models_rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The registered model.")], alias: Alias = "champion"
) -> None:
    """Let an alias stand again for the version that it stood for before."""
    with friendly("the alias stands as it was"):
        from sslwear.deployment import registry
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store), registry.locked(store, name):
            now, before = registry.rollback(store, name, alias)
        say(standard_output(), f"{name}@{alias} is version {before} again; it was {now}.")


def export(
    reference: Reference,
    onnx: Annotated[Path, typer.Option(metavar="FILE", help="The ONNX file to write.")],
) -> None:
    """Write a model as ONNX, and check that it answers as PyTorch does."""
    with friendly():
        from sslwear.deployment import registry
        from sslwear.deployment.onnx_export import to_onnx
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            model = registry.load_model(store, reference)
        worst = to_onnx(model, onnx)
        console, card = standard_output(), model.card
        say(console, f"{onnx}: windows (B, 3, {card.window_samples}) in {card.unit} at {card.rate_hz:g} Hz, float32, ")
        say(console, f"to probabilities (B, {len(card.class_names)}) of {', '.join(card.class_names)}.")
        say(console, f"Largest difference from PyTorch: {worst:.1e}.")


def serve(
    reference: Reference,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5001,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Listen wider than on this machine.")] = LOOPBACK,
    expose: Annotated[bool, typer.Option("--expose", help="Other machines may reach it.")] = False,
) -> None:
    """Serve a registered model over HTTP with MLflow's model server, on this machine only."""
    with friendly("the server has ended"):
        from sslwear.deployment import registry, server
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            version = registry.find_version(store, reference)
        exposed = f"have {version.name} label what they send"
        if (warning := server.check_address(host, port, expose, exposed)) is not None:
            warn(warning)
        print(f"Version {version.version} of {version.name} at http://{host}:{port}/invocations", flush=True)
        print(
            "It takes some seconds to start; it stays this version until it is started anew; Ctrl-C ends it.",
            flush=True,
        )
        command = ["uvicorn", "sslwear.deployment.scoring:app", "--host", host, "--port", str(port)]
        uris = {"MLFLOW_TRACKING_URI": store.tracking_uri, "MLFLOW_REGISTRY_URI": store.tracking_uri}
        raise typer.Exit(server.run(command, {**uris, server.MODEL_VARIABLE: registry.uri_of(version)}))


def _looks(store: Store, tags: dict[str, str]) -> int:
    """How often the test participants of a version's study were looked at until now; 0 where that is not known."""
    from sslwear.errors import StudyError
    from sslwear.studies.storage import find_study
    from sslwear.studies.test_evaluation import looks

    try:
        return len(looks(find_study(tags.get("sslwear.study", ""), store)))
    except StudyError:  # deleted, or of another Optuna store
        return int(tags.get("sslwear.test_looks", 0))
