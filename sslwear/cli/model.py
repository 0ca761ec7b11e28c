"""The commands about registered models: promote, list, show, roll back, export and serve."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.cli.ui import Expose, Host
from sslwear.deployment.serving.server import LOOPBACK

if TYPE_CHECKING:
    from rich.console import Console

    from sslwear.deployment.promotion.champion import Promotion
    from sslwear.tracking import Store

models_app = typer.Typer(no_args_is_help=True, help="List, show, copy and roll back registered models.")

Alias = Annotated[str, typer.Option(metavar="NAME", help="The registry alias to move.")]
Reference = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="A model in the output of 'sslwear models list'.")]


class RuleKind(StrEnum):
    """Criterion for a new model that is not worse than the champion."""

    MEAN = "mean"
    INTERVAL = "interval"


Score = Annotated[str | None, typer.Option(metavar="SCORE", help="kappa, f1, ...; by default the study's objective.")]
RuleOption = Annotated[
    RuleKind,
    typer.Option(help="What must not be below 0: the mean difference, or its interval (5 or more participants)."),
]
Margin = Annotated[float, typer.Option(metavar="SCORE", help="How far the score may be below the champion.")]
Force = Annotated[str | None, typer.Option(metavar="REASON", help="Move the alias in any case; the reason is kept.")]


def promote(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study or of an evaluation.")],
    trial: Annotated[int | None, typer.Option(metavar="N", help="A finished trial; by default the best one.")] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="A method of the study's evaluation, in place of a trial.")
    ] = None,
    evaluation: Annotated[
        bool, typer.Option("--evaluation", help="The best method of the study's evaluation, in place of a trial.")
    ] = False,
    alias: Alias = "champion",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the model; by default the study's.")] = None,
    score: Score = None,
    rule: RuleOption = RuleKind.MEAN,
    margin: Margin = 0.0,
    force: Force = None,
) -> None:
    """Register a trial, or a method of an evaluation; move the alias to it unless it is worse than the champion.

    A trial and the champion are scored on the test participants. A method is compared by its cross-validated scores,
    and its networks are trained on all participants.
    """
    with user_errors("the alias was not moved"):
        from sslwear.deployment.promotion import promotion
        from sslwear.studies.setup.progress import ConsoleProgress
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        with ConsoleProgress(console, epochs=False) as progress:
            found = promotion.promote(
                study,
                store,
                trial,
                method,
                evaluation,
                name=name,
                alias=alias,
                score=score,
                rule=rule.value,
                margin=margin,
                force=force,
                progress=progress,
            )
        print_promotion(console, study, found)
        if not found.moved and found.version != found.champion:
            raise typer.Exit(1)


def print_promotion(console: Console, study: str, found: Promotion) -> None:
    """Print the scores of a promotion and whether the alias was moved."""
    from sslwear.cli.tables import promotion_table
    from sslwear.evaluation.intervals import TOO_FEW

    for sentence in found.choice:
        print_line(console, sentence)
    if found.scores:
        console.print(promotion_table(found))
        if not all(one.known for one in found.scores.values()):
            print_line(console, TOO_FEW)
    if found.method is None:
        print_line(console, f"\nTest evaluations of {study}: {found.test_evaluations}.")
    elif found.scores:
        print_line(console, "\nScores are cross-validated; no participant is left to test the promoted model.")
    if found.moved:
        print_line(console, f"{found.name}@{found.alias} is now version {found.version}: {found.reason}.")
        print_line(console, f"Use it with: sslwear predict RECORDING --model {found.name}@{found.alias} --out DIR")
    elif found.version is not None and found.version == found.champion:
        print_line(console, f"Nothing was changed: {found.reason}.")
    else:
        print_warning(
            f"{found.name}@{found.alias} is still version {found.champion}: {found.reason}. "
            "To move it in any case, add --force REASON"
        )


@models_app.command("list")
def models_list() -> None:
    """List registered versions with their aliases and the number of test evaluations of their study."""
    with user_errors():
        from sslwear.cli.tables import models_table
        from sslwear.deployment import registry
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(write=False), standard_output()
        rows = []
        with store_errors(store):
            for model in registry.models(store):
                aliases = registry.aliases(store, model.name)
                for version in registry.versions(store, model.name):
                    rows.append(
                        (version, aliases.get(str(version.version), []), _test_evaluations(store, version.tags))
                    )
        if not rows:
            print_line(
                console,
                "There is no registered model yet. Promote the best trial of a study with sslwear promote STUDY.",
            )
            return
        console.print(models_table(rows))


@models_app.command("show")
def models_show(reference: Reference) -> None:
    """Show the model card of a registered model."""
    with user_errors():
        from rich.markdown import Markdown

        from sslwear.deployment import registry
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(write=False), standard_output()
        with store_errors(store):
            version = registry.find_version(store, reference)
            aliases = registry.aliases(store, version.name).get(str(version.version), [])
            evaluations = _test_evaluations(store, version.tags)
            card = registry.whole_card(store, version)
        text = ", ".join(f"{version.name}@{alias}" for alias in aliases) or "none"
        print_line(console, f"{version.name}/{version.version}, aliases: {text}")
        if evaluations:
            print_line(console, f"Test evaluations of its study: {evaluations}.")
        if forced := version.tags.get("sslwear.forced"):
            print_line(console, f"Promoted with --force: {forced}")
        card = card or "There is no model card, because the version was not promoted by sslwear."
        console.print(Markdown(card) if console.is_terminal else card, markup=False)


@models_app.command("rollback")
def models_rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The registered model.")], alias: Alias = "champion"
) -> None:
    """Move an alias back to its previous version."""
    with user_errors("the alias was not moved"):
        from sslwear.deployment import model_aliases
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store), model_aliases.locked(store, name):
            now, before = model_aliases.rollback(store, name, alias)
        print_line(standard_output(), f"{name}@{alias} is version {before} again; it was {now}.")


@models_app.command("copy")
def models_copy(
    reference: Reference,
    to: Annotated[
        str, typer.Option(metavar="URI", help="http://HOST:PORT of an MLflow server, or sqlite:////FOLDER/mlflow.db.")
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name there; by default the same.")] = None,
    alias: Annotated[
        str | None, typer.Option(metavar="NAME", help="Alias there; by default that of NAME@ALIAS, if it is given.")
    ] = None,
) -> None:
    """Copy a registered model to another tracking server, with card, tags and training provenance."""
    with user_errors("the alias was not moved; a repeated command goes on"):
        from sslwear.deployment.model_copy import copy_model
        from sslwear.tracking import Store

        copied = copy_model(Store.from_environment(write=False), reference, to, name, alias)
        console, version = standard_output(), copied.version
        what = f"{version.name}/{version.version} of {to}"
        print_line(console, f"{what} {'is that model already' if copied.existed else 'is a copy'}.")
        if copied.alias is not None:
            was = "not set" if copied.before is None else f"version {copied.before}"
            print_line(console, f"{version.name}@{copied.alias} there is version {version.version}; it was {was}.")


def export(
    reference: Reference,
    onnx: Annotated[Path, typer.Option(metavar="FILE", help="The ONNX file to write.")],
) -> None:
    """Export a model to ONNX, and check that its outputs equal those of PyTorch."""
    with user_errors():
        from sslwear.deployment import registry
        from sslwear.deployment.onnx_export import to_onnx
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            model = registry.load_model(store, reference)
        worst = to_onnx(model, onnx)
        console, card = standard_output(), model.card
        print_line(
            console, f"{onnx}: windows (B, 3, {card.window_samples}) in {card.unit} at {card.rate_hz:g} Hz, float32, "
        )
        print_line(console, f"to probabilities (B, {len(card.class_names)}) of {', '.join(card.class_names)}.")
        print_line(console, f"Largest difference from PyTorch: {worst:.1e}.")


def serve(
    reference: Reference,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5001,
    host: Host = LOOPBACK,
    expose: Expose = False,
) -> None:
    """Serve a registered model over HTTP, on this machine only."""
    with user_errors("the server has ended"):
        from sslwear.deployment import registry
        from sslwear.deployment.serving import server
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            version = registry.find_version(store, reference)
            registry.load_model(store, registry.uri_of(version))  # a model that cannot be served is reported here
        exposed = f"use {version.name} for predictions"
        if (warning := server.check_address(host, port, expose, exposed)) is not None:
            print_warning(warning)
        address = f"http://{server.url_host(host)}:{port}/invocations"
        console = standard_output()
        print_line(console, f"Version {version.version} of {version.name}: {address}")
        print_line(console, "It starts in a few seconds and serves this version until it is restarted.")
        print_line(console, "Press Ctrl-C to end it.")
        environment = {server.MODEL_VARIABLE: registry.uri_of(version)}  # it finds the store as this process did
        raise typer.Exit(server.run("sslwear.deployment.serving.scoring:app", host, port, environment))


def _test_evaluations(store: Store, tags: dict[str, str]) -> int:
    """Number of test evaluations of a version's study; 0 if it is not known."""
    from sslwear.errors import StudyError
    from sslwear.studies.database.optuna_storage import find_study
    from sslwear.studies.database.tested_trials import past_evaluations

    if "sslwear.method" in tags:  # of an evaluation, which has no test participants of its own
        return 0
    if "sslwear.study" in tags and "sslwear.copied_from" not in tags:  # of a copy, that name is another study's here
        with suppress(StudyError):  # deleted, or in another Optuna store
            return len(past_evaluations(find_study(tags["sslwear.study"], store)))
    return int(tags.get("sslwear.test_evaluations", tags.get("sslwear.test_looks", 0)))
