"""The last blessed model through the artifacts API, asked of a server that speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from pipeline.kubeflow.client.session import ClusterSession, Credentials
from pipeline.kubeflow.container.blessed.artifacts_api import ArtifactsApi
from pipeline.kubeflow.container.blessed.choice import blessed_models
from tests.kubeflow.artifacts_server import ArtifactsServer, serving


@pytest.fixture
def server() -> Iterator[ArtifactsServer]:
    with serving() as found:
        yield found


def api(server: ArtifactsServer, **limits: Any) -> ArtifactsApi:
    return ArtifactsApi(ClusterSession(server.endpoint, Credentials(), timeout=10), **limits)


def train(server: ArtifactsServer, pipeline: str, model: str, blessed: Any = 1.0, **run: Any) -> str:
    """A run that trains a model and judges it. Returns the run."""
    identity = server.add_run(pipeline, **run)
    server.add(identity, "model", "tfx.Model", model)
    server.add(
        identity, "blessing", "tfx.ModelBlessing", f"{model}/blessing", {"blessed": blessed, "current_model": model}
    )
    return identity


def refusal(looked_up: ArtifactsApi, run: str) -> str:
    with pytest.raises(InputError) as caught:
        looked_up.last(run)
    text = str(caught.value)
    assert "\n" not in text and "Error" not in text and "Traceback" not in text, text
    return text


RUNS = st.lists(
    st.tuples(st.sampled_from(["shop", "other"]), st.sampled_from(["", "team"]), st.booleans(), st.booleans()),
    max_size=9,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS, asks=st.tuples(st.sampled_from(["shop", "other"]), st.sampled_from(["", "team"])))
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("largest", [1, 2, 200])
def test_the_newest_blessed_model_of_the_pipeline_in_its_namespace(
    runs: list[tuple[str, str, bool, bool]], asks: tuple[str, str], largest: int, stored: bool
) -> None:
    expected = None
    with serving() as server:
        server.largest = largest
        for number, (pipeline, namespace, blessed, kept) in enumerate(runs):
            model = f"minio://bucket/{number}"
            train(server, pipeline, model, float(blessed), namespace=namespace, stored=stored)
            if not kept:
                server.artifacts = [one for one in server.artifacts if one.uri != model]
            if blessed and kept and (pipeline, namespace) == asks:
                expected = model
        pipeline, namespace = asks
        assert api(server).last(server.add_run(pipeline, namespace, stored=stored)) == expected


def test_a_blessing_from_the_cache_is_the_run_that_took_it(server: ArtifactsServer) -> None:
    first = train(server, "shop", "minio://b/1")
    artifact = next(one.artifact_id for one in server.artifacts if one.name == "blessing")
    server.link(server.add_run("shop"), artifact, "blessing")
    del server.runs[first]
    assert api(server).last(server.add_run("shop")) == "minio://b/1"
    # What another pipeline only reads is not its own.
    reader = server.add_run("other")
    server.link(reader, artifact, "blessing", "TASK_OUTPUT_INPUT")
    assert api(server).last(reader) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"blessed": "1", "current_model": "minio://b/bad"},
        {"blessed": None, "current_model": "minio://b/bad"},
        {"blessed": 1.0},
        {"blessed": 1.0, "current_model": ["minio://b/bad"]},
        {"blessed": 0.0, "current_model": "minio://b/bad"},
    ],
)
def test_what_is_no_blessing_is_passed_over(server: ArtifactsServer, metadata: dict[str, Any]) -> None:
    run = train(server, "shop", "minio://b/good")
    server.add(run, "model", "tfx.Model", "minio://b/bad")
    server.add(run, "blessing", "tfx.ModelBlessing", "minio://b/x", metadata)
    server.add(run, "blessing", "tfx.Examples", "minio://b/x", {"blessed": 1.0, "current_model": "minio://b/bad"})
    assert api(server).last(run) == "minio://b/good"


def test_the_pod_signs_in_with_its_service_account(
    server: ArtifactsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(server, "shop", "minio://b/1")
    server.token = "projected"
    (tmp_path / "token").write_text("projected\n")
    for name in ("SHELFMARK_KUBEFLOW_TOKEN", "SHELFMARK_KUBEFLOW_COOKIE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    found = blessed_models(metadata="nowhere:1", artifacts_api=server.endpoint)
    assert isinstance(found, ArtifactsApi) and found.last(run) == "minio://b/1"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "none"))
    text = refusal(blessed_models(metadata="nowhere:1", artifacts_api=server.endpoint), run)  # type: ignore[arg-type]
    assert "does not let you in" in text and "projected" not in text


def test_refusals_are_sentences(server: ArtifactsServer) -> None:
    run = train(server, "shop", "minio://b/1")
    assert "run = 'gone': a run that the API server knows" in refusal(api(server), "gone")
    # A run's id is no path.
    refusal(api(server), "../experiments/experiment-")
    server.answers["/artifacts"] = 404, json.dumps({"code": 5, "message": "Not Found"})
    assert "has no artifacts API; Kubeflow Pipelines 2.x has ML Metadata" in refusal(api(server), run)
    server.answers["/artifacts"] = 500, json.dumps({"code": 13, "message": "List artifacts failed"})
    assert "refuses: List artifacts failed" in refusal(api(server), run)
    server.answers["/artifacts"] = 200, json.dumps({"artifacts": {"a": 1}})
    assert "gives no list of artifacts" in refusal(api(server), run)
    server.answers["/artifacts"] = 200, json.dumps({"next_page_token": "again"})
    assert "the same page again and again" in refusal(api(server), run)
    server.answers["/artifacts"] = 200, "<html>sign in</html>"
    assert "does not let you in" in refusal(api(server), run)
    server.answers = {"/runs": (200, json.dumps({"run_id": run}))}
    assert "a run of a pipeline" in refusal(api(server), run)


def test_limits(server: ArtifactsServer) -> None:
    for number in range(6):
        train(server, "shop", f"minio://b/{number}", 0.0)
    server.largest = 1
    asking = server.add_run("shop")
    assert "gives more than" in refusal(api(server, pages=5), asking)
    assert api(server, pages=6).last(asking) is None
    assert "did not answer all questions within 0 s" in refusal(api(server, deadline=0.0), asking)


def test_a_server_that_is_not_there(server: ArtifactsServer) -> None:
    endpoint = server.endpoint
    server.shutdown()
    server.server_close()
    text = refusal(ArtifactsApi(ClusterSession(endpoint, Credentials(), timeout=5)), "run")
    assert text.startswith("the last blessed model cannot be looked up: ")
    with pytest.raises(InputError, match="is no endpoint"):
        ArtifactsApi.at("ml-pipeline:8888")
