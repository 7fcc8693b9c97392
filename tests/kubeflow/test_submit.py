"""``shelfmark submit`` against a server with the endpoints; the models of kfp-server-api judge what is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.kubeflow.client.session import (
    COOKIE,
    ENDPOINT,
    SERVICE_ACCOUNT_TOKEN,
    TOKEN,
    ClusterError,
    ClusterSession,
    Credentials,
)
from shelfmark import cli
from tests.kubeflow.api_server import Server, serving

SECRET = "s3cr3t-value"
PARAMETERS: dict[str, Any] = {
    "feed": {"parameterType": "STRING", "defaultValue": "/feed", "isOptional": True},
    "training_epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 30, "isOptional": True},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5, "isOptional": True},
}
OTHERS: dict[str, Any] = {
    "flag": {"parameterType": "BOOLEAN", "defaultValue": False, "isOptional": True},
    "names": {"parameterType": "LIST", "defaultValue": [], "isOptional": True},
    "table": {"parameterType": "STRUCT", "defaultValue": {}, "isOptional": True},
    "status": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True},
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow and a package of it; nothing of the environment that signs in."""
    for name in (TOKEN, COOKIE, ENDPOINT, SERVICE_ACCOUNT_TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("id,title\n1,Red boots\n2,Sandals\n")
    leaves = "".join(f"  - {{path: [Shoes, {name}], exclusive: true}}\n" for name in ("Boots", "Sandals"))
    (tmp_path / "t.yaml").write_text(f"categories:\n  - {{path: [Shoes]}}\n{leaves}")
    settings = "runners: {kubeflow: {pipeline_root: 'minio://bucket/root', service_account: runner}}\n"
    (tmp_path / "w.yaml").write_text(
        f"name: shop\nfeed: {{files: [a.csv]}}\ntaxonomy: {{file: t.yaml}}\nmodel: {{kind: wide_deep}}\n{settings}"
    )
    spec = {
        "pipelineInfo": {"name": "shop"},
        "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {}},
        "components": {},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": PARAMETERS}},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path


def submit(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.main(["submit", "-w", "w.yaml", "--package", "p.yaml", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_new_pipeline_then_new_versions(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--endpoint", server.endpoint, "--experiment", "nightly", "-p", "training_epochs=5", "-p", "rate=1"
    for number in (1, 2, 3):
        code, out, err = submit(capsys, *arguments)
        assert (code, err) == (0, "")
        assert len(server.pipelines) == len(server.experiments) == 1
        assert sum(map(len, server.versions.values())) == len(server.runs) == number
    run = list(server.runs.values())[-1]
    assert f"started run {run['run_id']}: {server.endpoint}/#/runs/details/{run['run_id']}" in out
    newest = next(iter(server.versions.values()))[-1]
    assert run["pipeline_version_reference"]["pipeline_version_id"] == newest["pipeline_version_id"]
    assert run["runtime_config"] == {
        "parameters": {"training_epochs": 5, "rate": 1.0},
        "pipeline_root": "minio://bucket/root",
    }
    assert run["service_account"] == "runner"


def test_wait_shows_steps(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    def state(whole: str, **steps: str) -> dict[str, Any]:
        details = [{"display_name": name.replace("_", "-"), "state": step} for name, step in steps.items()]
        return {"state": whole, "run_details": {"task_details": details}}

    server.script = [
        state("PENDING"),
        state("RUNNING", root="RUNNING", Trainer="RUNNING", Trainer_driver="SUCCEEDED"),
        state("RUNNING", Trainer="RUNNING"),
        state("SUCCEEDED", Trainer="SUCCEEDED"),
    ]
    code, out, err = submit(capsys, "--endpoint", server.endpoint, "--wait", "--every", 0.01)
    lines = out.splitlines()[2:]
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in lines[:-1]] == [["Trainer", "running"], ["Trainer", "succeeded"]]
    assert lines[-1].endswith("succeeded")
    server.script = [{"state": "FAILED", "error": {"code": 13, "message": "Trainer: out of memory"}}]
    code, out, err = submit(capsys, "--endpoint", server.endpoint, "--wait", "--every", 0.01)
    assert code == 1 and out.splitlines()[-1].endswith("failed: Trainer: out of memory")


def test_schedule(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = submit(capsys, "--endpoint", server.endpoint, "--cron", "0 0 3 * * *")
    (made,) = server.recurring.values()
    assert (code, err) == (0, "") and made["recurring_run_id"] in out
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["mode"], made["max_concurrency"], made["no_catchup"]) == ("ENABLE", "1", True)
    for bad in (["--cron", "0 3 * * *"], ["--cron", "0 0 3 * * *", "--wait"]):
        code, _, err = submit(capsys, "--endpoint", server.endpoint, *bad)
        assert code == 2 and err.startswith("--cron = ")


@pytest.mark.parametrize("source", ["flag", "environment", "file", "cookie"])
def test_signs_in(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shop: Path, source: str
) -> None:
    arguments = ["--token", SECRET] if source == "flag" else ["--cookie", SECRET] if source == "cookie" else []
    if source == "environment":
        monkeypatch.setenv(TOKEN, SECRET)
    if source == "file":
        (shop / "token").write_text(SECRET + "\n")
        monkeypatch.setenv(SERVICE_ACCOUNT_TOKEN, str(shop / "token"))
    monkeypatch.setenv(ENDPOINT, server.endpoint)
    code, out, err = submit(capsys, *arguments)
    name, value = ("Cookie", SECRET) if source == "cookie" else ("Authorization", f"Bearer {SECRET}")
    assert code == 0 and {headers.get(name) for headers in server.headers} == {value}
    # Nothing of it on the screen, or on the disk.
    server.refusals["/"] = 401, "{}"
    code, out, err = submit(capsys, *arguments)
    assert code == 1 and SECRET not in out + err
    files = [path for path in shop.rglob("*") if path.is_file() and path.name != "token"]
    assert files and not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("secret", [f"{SECRET}\nX-More: 1", f"{SECRET}\u2026", f"{SECRET}\x00"])
@pytest.mark.parametrize("flag", ["--token", "--cookie"])
def test_a_damaged_secret_is_not_shown(
    server: Server, capsys: pytest.CaptureFixture[str], secret: str, flag: str
) -> None:
    code, out, err = submit(capsys, "--endpoint", server.endpoint, flag, secret)
    assert code == 1 and err.startswith(f"the {flag[2:]} has characters") and len(err.splitlines()) == 1
    assert SECRET not in out + err and not server.headers


def test_the_service_accounts_token_is_read_anew(server: Server, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is waited for outlives it."""
    monkeypatch.setenv(SERVICE_ACCOUNT_TOKEN, str(shop / "token"))
    sent = []
    server.refusals["/"] = 200, "{}"
    (shop / "token").write_text("one\n")
    session = ClusterSession(server.endpoint, Credentials.find())
    for token in ("one", "two"):
        (shop / "token").write_text(token + "\n")
        session.get("/experiments")
        sent.append(server.headers[-1]["Authorization"])
    assert sent == ["Bearer one", "Bearer two"]
    (shop / "token").unlink()
    with pytest.raises(ClusterError, match="token cannot be read"):
        session.get("/experiments")


@pytest.mark.parametrize("path", ["/pipelines", "/experiments", "/runs"])
def test_another_server_that_answers_in_json(server: Server, capsys: pytest.CaptureFixture[str], path: str) -> None:
    server.refusals[path] = 200, "{}"
    code, _, err = submit(capsys, "--endpoint", server.endpoint)
    assert code == 1 and err.startswith(f"{server.endpoint} gives no ") and len(err.splitlines()) == 1


def test_secrets_stay_out_of_the_log_of_an_error() -> None:
    shown = cli._without_secrets(["submit", "--token", SECRET, f"--cookie={SECRET}", "--wait"])
    assert shown == ["submit", "--token", "***", "--cookie=***", "--wait"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", "does not let you in (HTTP 401): give a token"),
        (403, json.dumps({"message": "User is not authorized"}), "does not let you in (User is not authorized)"),
        (302, "", "does not let you in"),
        (200, "<html>Log in to Your Account</html>", "does not let you in"),
        (429, "", "refuses for a quota"),
        (500, json.dumps({"message": "exceeded quota: pods=10"}), "refuses for a quota: exceeded quota: pods=10"),
        (500, "Internal Server Error", "refuses: HTTP 500"),
        (404, json.dumps({"error": "Not Found", "message": "not\nfound"}), "refuses: not found"),
    ],
)
def test_refusals(server: Server, capsys: pytest.CaptureFixture[str], status: int, body: str, said: str) -> None:
    server.refusals["/experiments"] = status, body
    code, _, err = submit(capsys, "--endpoint", server.endpoint)
    assert code == 1 and len(err.splitlines()) == 1
    assert err.startswith(server.endpoint) and said in err


def test_unknown_namespace_and_unreachable(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.namespaces = {"ann"}
    code, _, err = submit(capsys, "--endpoint", server.endpoint, "--namespace", "nobody")
    assert code == 1 and "namespaces 'nobody' not found" in err and len(err.splitlines()) == 1
    gone = server.endpoint
    server.shutdown()
    server.server_close()
    code, _, err = submit(capsys, "--endpoint", gone)
    assert code == 1 and err.startswith(f"{gone} cannot be reached: ") and err.endswith("Connection refused\n")
    assert len(err.splitlines()) == 1
    code, _, err = submit(capsys, "--endpoint", "localhost:8080")
    assert code == 1 and "expected http://HOST:PORT" in err


def test_parameters_are_checked_here(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["training_epochs=many", "feeds=x", "rate"]
    code, _, err = submit(capsys, "--endpoint", server.endpoint, *(x for p in given for x in ("-p", p)))
    assert code == 2 and not server.headers
    assert err.splitlines() == [
        "--parameter: training_epochs = 'many': a whole number",
        "--parameter = 'feeds=x': NAME=VALUE with one of: feed, rate, training_epochs; did you mean 'feed'?",
        "--parameter = 'rate': NAME=VALUE with one of: feed, rate, training_epochs; did you mean 'rate'?",
    ]
    code, _, err = submit(capsys)
    assert code == 2 and err.startswith("--endpoint: the address of Kubeflow Pipelines' API server")


def declare(shop: Path, parameters: dict[str, Any]) -> None:
    spec = yaml.safe_load((shop / "p.yaml").read_text())
    spec["root"]["inputDefinitions"]["parameters"] = parameters
    (shop / "p.yaml").write_text(yaml.safe_dump(spec))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("training_epochs=2.5", "a whole number"),
        ("training_epochs=1e3", "a whole number"),
        ("training_epochs=1_0", "a whole number"),
        ("training_epochs=\u0663", "a whole number"),
        ("training_epochs=9007199254740993", "a whole number of at most 9,007,199,254,740,992"),
        ("training_epochs=" + "9" * 400, "a whole number of at most"),
        ("training_epochs=" + "9" * 5000, "a whole number"),
        ("training_epochs=true", "a whole number"),
        ("training_epochs=", "a whole number"),
        ("rate=nan", "a number"),
        ("rate=-inf", "a number"),
        ("rate=1e999", "a number"),
        ("flag=1", "true or false"),
        ("names=a,b", "a list in JSON"),
        ("names={}", "a list in JSON"),
        ("names=" + "[" * 100_000, "a list in JSON"),
        ("table=[NaN]", "a mapping in JSON"),
        ("status=x", "no value, as Kubeflow takes none for a parameter of type TASK_FINAL_STATUS"),
        # Of the right type, and beyond the limits of the workflow's own setting.
        ("training_epochs=0", "expected a whole number of at least 1"),
        ("training_epochs=-3", "expected a whole number of at least 1"),
        ("training_learning_rate=0", "expected a number above 0"),
    ],
    ids=lambda text: text[:40],
)
def test_no_value_is_sent_that_the_run_could_not_take(
    server: Server, capsys: pytest.CaptureFixture[str], shop: Path, given: str, expected: str
) -> None:
    declare(shop, {**PARAMETERS, **OTHERS, "training_learning_rate": PARAMETERS["rate"]})
    code, _, err = submit(capsys, "--endpoint", server.endpoint, "-p", given)
    assert code == 2 and not server.headers
    assert (
        len(err.splitlines()) == 1 and err.startswith(f"--parameter: {given.partition('=')[0]} = ") and expected in err
    )


def test_values_of_every_type_arrive(server: Server, capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    declare(shop, {**PARAMETERS, **OTHERS})
    given = ["training_epochs=7", "rate=.5", "flag=True", 'names=["a", 1]', 'table={"a": [1]}', "feed=2.5"]
    code, _, err = submit(capsys, "--endpoint", server.endpoint, *(x for p in given for x in ("-p", p)))
    assert (code, err) == (0, "")
    (run,) = server.runs.values()
    assert run["runtime_config"]["parameters"] == {
        "training_epochs": 7, "rate": 0.5, "flag": True, "names": ["a", 1], "table": {"a": [1]}, "feed": "2.5"
    }  # fmt: skip


@pytest.mark.parametrize("default", [2.5, "30", True, [30], 2**53 + 1], ids=str)
def test_a_package_whose_default_is_of_another_type(
    server: Server, capsys: pytest.CaptureFixture[str], shop: Path, default: object
) -> None:
    declare(shop, {"training_epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": default}})
    code, _, err = submit(capsys, "--endpoint", server.endpoint)
    assert code == 2 and not server.headers
    assert err.startswith("p.yaml: training_epochs = ") and "a whole number" in err and "as the default" in err


@pytest.mark.parametrize("given", [[], ["-p", "label_snapshot="]], ids=["none", "empty"])
def test_labels_of_a_store_that_the_cluster_cannot_see(
    server: Server, capsys: pytest.CaptureFixture[str], shop: Path, given: list[str]
) -> None:
    spec = yaml.safe_load((shop / "p.yaml").read_text())
    spec["root"]["inputDefinitions"]["parameters"]["label_snapshot"] = {
        "parameterType": "STRING", "defaultValue": "", "isOptional": True
    }  # fmt: skip
    (shop / "p.yaml").write_text(yaml.safe_dump(spec))
    with (shop / "w.yaml").open("a") as workflow:
        workflow.write("labels: {store: labels.sqlite}\n")
    code, _, err = submit(capsys, "--endpoint", server.endpoint, *given)
    assert code == 2 and err.startswith("w.yaml:6: labels.store: expected a snapshot beside it")
    assert "shelfmark label snapshot --output" in err and not server.runs
    # Both remedies of the message.
    assert submit(capsys, "--endpoint", server.endpoint, "--set", "labels.store=null")[0] == 0
    assert submit(capsys, "--endpoint", server.endpoint, "-p", "label_snapshot=/mnt/labels")[0] == 0
    assert list(server.runs.values())[-1]["runtime_config"]["parameters"] == {"label_snapshot": "/mnt/labels"}


def test_kfp_runner_is_the_same(server: Server, capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    import subprocess
    import sys

    from pipeline.workflow_file import REPOSITORY

    arguments = ["submit", "-w", "w.yaml", "--package", "p.yaml", "--endpoint", server.endpoint]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "kfp_runner.py"), *arguments], capture_output=True, text=True, cwd=shop
    )
    assert (done.returncode, done.stderr) == (0, "") and len(server.runs) == 1
