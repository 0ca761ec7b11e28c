"""Files for clusters: as far as they can be checked where nothing runs them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.tracking import HOME_VARIABLE, STORAGE_VARIABLE
from sslwear.tracking.addresses import check_database, check_tracking
from sslwear.tracking.client import TRACKING_VARIABLE
from sslwear.utils.interrupts import TERMINATION_SIGNALS

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLES = {HOME_VARIABLE, STORAGE_VARIABLE, TRACKING_VARIABLE}


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


def check_command(text: str) -> None:
    """Check that the commands of sslwear in a text exist."""
    found = re.findall(r"sslwear (study worker|study run)", text)
    assert found
    for command in found:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_the_array_script_is_a_shell_script_that_hands_on_signals() -> None:
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    check_command(text)
    assert re.search(r"^exec sslwear study worker", text, re.MULTILINE)
    (asked,) = re.findall(r"--signal=B:(\w+)@\d+", text)  # to the batch shell, which the worker replaces
    assert signal.Signals[f"SIG{asked}"] in TERMINATION_SIGNALS
    assert {name for name in VARIABLES if name in text} == VARIABLES


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_in_the_array_script() -> None:
    subprocess.run(["shellcheck", str(DEPLOY / "slurm.sh")], check=True)


def test_the_array_script_says_what_is_not_set() -> None:
    done = subprocess.run(["bash", str(DEPLOY / "slurm.sh"), "x.yaml"], capture_output=True, text=True, env={})
    assert done.returncode != 0
    assert "SSLWEAR_STORAGE: is not set. Set it to postgresql+psycopg://" in done.stderr


def test_objects_of_kubernetes_find_each_other(objects: list[dict[str, Any]]) -> None:
    names = {(one["kind"], one["metadata"]["name"]) for one in objects}
    assert len(names) == len(objects)
    assert all(one["apiVersion"] in ("v1", "apps/v1", "batch/v1") for one in objects)
    made_by_hand = {("Secret", "sslwear-database"), ("ConfigMap", "sslwear-study")}
    for one in objects:
        if one["kind"] == "Service":
            assert any(_labels(other) == one["spec"]["selector"] for other in objects if other["kind"] == "Deployment")
        if one["kind"] not in ("Deployment", "Job"):
            continue
        pod = one["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names | made_by_hand
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
            for variable in container["env"]:
                if "valueFrom" in variable:
                    assert ("Secret", variable["valueFrom"]["secretKeyRef"]["name"]) in made_by_hand
        if one["kind"] == "Deployment":
            assert one["spec"]["selector"]["matchLabels"] == _labels(one)
    text = (DEPLOY / "kubernetes.yaml").read_text()
    for kind, name in made_by_hand:
        assert f"kubectl create {kind.lower()} {'generic ' if kind == 'Secret' else ''}{name}" in text
    check_command(text)
    check_addresses(text, {name for kind, name in names if kind == "Service"})


def _labels(one: dict[str, Any]) -> Any:
    return one["spec"]["template"]["metadata"]["labels"]


def check_addresses(text: str, hosts: set[str]) -> None:
    """Check that addresses of servers have a meaning, and name services."""
    databases = {"mlflow", "optuna"}
    for address in re.findall(r"postgresql\+psycopg://\S+?(?=[\"\s])", text):
        plain = re.sub(r"\$\{?\w+\}?", "x", address)
        check_database(STORAGE_VARIABLE, plain)
        host, _, database = plain.rpartition("@")[2].partition("/")
        assert host in hosts
        assert database in databases
    for address in re.findall(r"(?<=MLFLOW_TRACKING_URI: )http\S+|(?<=value: )http\S+", text):
        check_tracking(TRACKING_VARIABLE, address)
        assert re.sub(r"http://|:\d+", "", address) in hosts
    for database in databases:
        assert f"CREATE DATABASE {database};" in text


def test_services_of_the_compose_file_find_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert ("image" in service) != ("build" in service)
        for other in service.get("depends_on", {}):
            assert "healthcheck" in services[other]
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source in compose["volumes"] or source.startswith("$")
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert services["mlflow"]["ports"] == ["127.0.0.1:5000:5000"]
    worker = services["worker"]
    assert set(worker["environment"]) == VARIABLES
    assert worker["restart"] == "on-failure:5"
    assert worker["hostname"]
    assert f"home:{worker['environment'][HOME_VARIABLE]}" in worker["volumes"]  # one name is right for one store only
    check_command(" ".join(worker["command"][:3]))
    check_addresses((DEPLOY / "compose.yaml").read_text(), set(services))


@pytest.mark.parametrize("file", ["deploy/compose.yaml", "deploy/kubernetes.yaml", "docs/workers.md"])
def test_mlflows_server_answers_under_the_address_that_workers_have(file: str) -> None:
    text = (DEPLOY.parent / file).read_text()
    (address,) = set(re.findall(r"(?:MLFLOW_TRACKING_URI[:=] ?|value: )http://(\S+)", text))
    (allowed,) = re.findall(r"--allowed-hosts[= ]'?([\w:.*,-]+)", text.replace("`--allowed-hosts`", ""))
    assert address in allowed.split(",")


def test_the_image_copies_what_exists() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert "pyproject.toml" in paths
    assert [path for path in paths if not (DEPLOY.parent / path).exists()] == []
