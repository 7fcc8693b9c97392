"""The manifests are Kubernetes' own types, and what they name is there: ports, probes' paths, options, variables."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client
from typer.testing import CliRunner

from api.health import router as api_routes
from labelling.store import Store, accounts
from labelling.store.database import now
from labelling.web.pages.files import router as label_routes
from pipeline.workflow_file import REPOSITORY
from shelfmark.cli import app
from shelfmark.cli.label.store import VARIABLE
from tests.cli.program import run
from tests.labelling.serving import serving

FOLDER = REPOSITORY / "deploy" / "kubernetes"
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")
DOCUMENTS = [(file.name, document) for file in FILES for document in yaml.safe_load_all(file.read_text("utf-8"))]
DEPLOYMENTS = [(name, document) for name, document in DOCUMENTS if document["kind"] == "Deployment"]


@pytest.mark.parametrize(("name", "document"), DOCUMENTS)
def test_each_is_its_kind_and_has_no_other_key(name: str, document: dict[str, Any]) -> None:
    api = client.ApiClient()
    typed = api.deserialize(SimpleNamespace(data=json.dumps(document)), f"V1{document['kind']}")
    # The client passes over a key that the type does not have.
    assert api.sanitize_for_serialization(typed) == document


@pytest.mark.parametrize(("name", "document"), DEPLOYMENTS)
def test_pods_may_do_no_more_than_they_need(name: str, document: dict[str, Any]) -> None:
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["automountServiceAccountToken"] is False
    assert f"USER {pod['securityContext']['runAsUser']}" in (REPOSITORY / "Dockerfile").read_text("utf-8")
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in [*pod.get("initContainers", ()), *pod["containers"]]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert {variable["name"] for variable in container.get("env", ())} <= {VARIABLE, "PGPASSWORD"}
    on_file = any("/data/" in str(variable) for variable in pod["containers"][0].get("env", ()))
    assert not on_file or (document["spec"]["replicas"], document["spec"]["strategy"]["type"]) == (1, "Recreate")


def _command(line: list[str]) -> tuple[list[str], int]:
    """The command's name and port; its options are those that the program knows."""
    program, *command = line
    words = command[: next(number for number, word in enumerate(command) if word.startswith("-"))]
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert program == "shelfmark" and shown.exit_code == 0
    assert all(word in shown.output for word in command if word.startswith("--"))
    return words, int(command[command.index("--port") + 1])


@pytest.mark.parametrize(("name", "document"), DEPLOYMENTS)
def test_commands_ports_and_probes_are_the_servers(name: str, document: dict[str, Any]) -> None:
    (container,) = document["spec"]["template"]["spec"]["containers"]
    words, port = _command(container["command"])
    assert port == container["ports"][0]["containerPort"]
    routes = {route.path for route in (label_routes if words[0] == "label" else api_routes).routes}  # type: ignore[attr-defined]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in routes and container[probe]["httpGet"]["port"] == "http"


def test_services_and_budgets_select_the_pods() -> None:
    labels = {(name, document["metadata"]["name"]): document["spec"]["template"]["metadata"]["labels"]
              for name, document in DEPLOYMENTS}  # fmt: skip
    for name, document in DOCUMENTS:
        if document["kind"] in ("Service", "PodDisruptionBudget"):
            selector = document["spec"]["selector"]
            assert selector.get("matchLabels", selector) == labels[name, document["metadata"]["name"]]


def test_kustomization_names_files_of_which_no_two_make_the_same() -> None:
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]
    made = [(document["kind"], document["metadata"]["name"]) for name, document in DOCUMENTS if name in resources]
    assert len(resources) == len({file.name for file in FILES} & set(resources)) and len(made) == len(set(made))


def test_compose_starts_the_same_servers() -> None:
    services = yaml.safe_load((FOLDER.parent / "compose.yaml").read_text("utf-8"))["services"]
    of_pods = [document["spec"]["template"]["spec"]["containers"][0]["command"][:3] for _, document in DEPLOYMENTS]
    for name in ("labelling", "api"):
        service = services[name]
        _, port = _command(service["command"])
        assert service["command"][:3] in of_pods and service["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["entrypoint"] == []
        assert set(service.get("environment", ())) <= {VARIABLE, "PGPASSWORD"}
        assert set(service.get("depends_on", ())) <= set(services)
    host = services["labelling"]["environment"][VARIABLE].partition("@")[2].partition("/")[0]
    assert host in services and services[host]["environment"]["POSTGRES_DB"] == "shelfmark"


def test_the_pages_token_can_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs/how_to/deploy.md").read_text("utf-8")
    (command,) = [line for line in page.splitlines() if line.startswith("shelfmark serve token")]
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *shlex.split(command)[1:])
    assert code == 0 and out.strip() and (tmp_path / "tokens.txt").is_file(), err


@pytest.mark.slow
def test_the_labelling_servers_probes_are_answered_without_signing_in(tmp_path: Path) -> None:
    place = tmp_path / "labels.sqlite"
    with Store(place) as store, store.write() as connection:
        accounts.put(connection, "admin", now(), password="correct horse battery staple", role="admin")
    pod = next(document for name, document in DEPLOYMENTS if name == "labelling-sqlite.yaml")
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    with serving(str(place), "--host", "0.0.0.0") as server:
        for probe in ("livenessProbe", "readinessProbe"):
            answer = httpx.get(server.url + container[probe]["httpGet"]["path"], headers={"host": "10.1.2.3:8765"})
            assert answer.status_code == 200
        place.rename(tmp_path / "away.sqlite")
        assert httpx.get(server.url + "/healthz").status_code == 200
        assert httpx.get(server.url + "/health").status_code == 503
