"""The ``runners.kubeflow`` section."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.errors import InputError
from modules.settings.kubeflow import ComponentResources, KubeflowSettings, RetrySettings, VolumeSettings, seconds
from pipeline.kubeflow.resources import number_of, threads_within
from pipeline.workflow_file import load_workflow
from tests.kubeflow.emulator.argo import Attempt, GaveUp, Strategy
from tests.kubeflow.emulator.kubernetes import InvalidPod, pod_of


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4), ("500m", 0.5), ("1.5", 1.5), ("2k", 2e3), ("16G", 16e9), ("16Gi", 2**34), ("3Mi", 3 * 2**20)],
)
def test_quantities(text: str, number: float) -> None:
    assert number_of(text) == number
    assert ComponentResources(memory=text).memory == text


@pytest.mark.parametrize(("cpu", "threads"), [("500m", "1"), ("2", "2"), ("2.5", "3"), ("1k", "1000")])
def test_no_more_threads_than_cores_can_run(cpu: str, threads: str) -> None:
    assert set(threads_within(cpu).values()) == {threads}
    assert threads_within(None) == {}


def test_libraries_obey_the_variables() -> None:
    program = (
        "import os, numpy, threadpoolctl as t; numpy.ones((400, 400)) @ numpy.ones((400, 400)); "
        "print(*{library['num_threads'] for library in t.threadpool_info()}, len(os.listdir('/proc/self/task')))"
    )  # fmt: skip
    alone, several = (
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **threads_within(cpu)},
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout.split()
        for cpu in ("1", "3")
    )  # fmt: skip
    assert alone == ["1", "1"] and int(several[0]) > 1 and int(several[1]) > 1


def test_durations() -> None:
    assert [seconds(text) for text in ("30s", "10m", "2h")] == [30, 600, 7200]


def test_a_components_own_settings_win() -> None:
    settings = KubeflowSettings.model_validate(
        {
            "defaults": {"memory": "4Gi", "retries": {"count": 3}, "environment": {"A": "1"}},
            "components": {"Trainer": {"memory": "16Gi", "cache": False, "environment": {}}},
        }
    )
    trainer, other = settings.resources("Trainer"), settings.resources("Evaluator")
    assert (trainer.memory, trainer.cache, trainer.environment) == ("16Gi", False, {})
    assert trainer.retries is not None and trainer.retries.count == 3 and other == settings.defaults


def test_a_step_that_reads_for_a_component() -> None:
    settings = KubeflowSettings.model_validate(
        {
            "defaults": {"memory": "4Gi", "node_selector": {"pool": "small"}},
            "components": {
                "Gen": {"memory": "64Gi", "gpu": {}, "volumes": [{"path": "/feeds", "claim": "feeds"}]},
                "Gen-fingerprint": {"cpu": "1"},
            },
        }
    )
    step = settings.resources("Gen-fingerprint", reads_for="Gen")
    # What it reaches the files by is the component's, what it computes with its own or everyone's.
    assert (step.cpu, step.memory, step.gpu, step.node_selector) == ("1", "4Gi", None, {"pool": "small"})
    assert step.volumes == settings.components["Gen"].volumes


RETRIES = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(1, 20),
        "backoff": st.integers(1, 3000).map("{}s".format),
        "factor": st.integers(1, 10),
        "max_duration": st.integers(1, 100).map("{}h".format),
    },
)


@given(RETRIES, st.floats(0.0, 3600.0 * 24))
def test_every_retry_that_is_asked_for_is_made(given: dict[str, Any], minutes: float) -> None:
    """By Argo's own rule, if attempts take as long as ``max_duration`` leaves them."""
    from pipeline.kubeflow.resources import retry_policy

    try:
        settings = RetrySettings.model_validate(given)
    except ValidationError as error:
        assert "none starts later than" in str(error)
        return
    pauses = seconds(settings.backoff) * sum(settings.factor**n for n in range(settings.count))
    takes = min(minutes, (settings.max_seconds - pauses) / (settings.count + 1))
    strategy = Strategy.of({"retryPolicy": retry_policy(settings)}, "")
    assert strategy is not None
    now, attempts = 0.0, []
    for _ in range(settings.count):
        attempts.append(Attempt("Failed", now, now + takes))
        now, deadline = strategy.next(attempts, now + takes)
        assert now <= deadline + 1e-6
    attempts.append(Attempt("Failed", now, now))
    with pytest.raises(GaveUp):
        strategy.next(attempts, now)


@given(st.from_regex(r"[a-z0-9.-]{1,70}", fullmatch=True))
def test_names_are_those_that_kubernetes_takes_for_volumes(name: str) -> None:
    """Of a claim, a secret or a config map; an environment variable may come from a secret with dots."""
    mounted = {"pvcMount": [{"constant": name, "mountPath": "/x"}]}
    try:
        pod_of({"image": "i"}, mounted)
    except InvalidPod:
        for kind in ("claim", "secret", "config_map"):
            with pytest.raises(ValidationError, match="gives the pod's volume this name"):
                VolumeSettings.model_validate({"path": "/x", kind: name})
    else:
        assert VolumeSettings(path="/x", claim=name).claim == name


def test_names_with_dots_where_no_volume_is_made() -> None:
    settings = {"secret_environment": {"KEY": {"secret": "wandb.example.com", "key": "k"}}}
    assert ComponentResources.model_validate(settings).secret_environment is not None


def test_what_validate_says(tmp_path: Path) -> None:
    """File, line and a sentence, for what the cluster would refuse hours later."""
    file = tmp_path / "w.yaml"
    file.write_text(
        "name: shop\nfeed: {demo: {products: 300}}\nrunners:\n  kubeflow:\n    defaults:\n"
        "      retries:\n        factor: 1.5\n        max_backoff: 10m\n"
        "      volumes:\n        - path: /feeds\n          claim: feeds.eu\n"
        "      node_affinity:\n        - match_expressions:\n          - {key: cpus, operator: Gt, values: [many]}\n"
    )
    with pytest.raises(InputError) as caught:
        load_workflow(file)
    said = str(caught.value)
    assert f"{file}:7: runners.kubeflow.defaults.retries.factor = '1.5': expected a whole number of at least 1" in said
    assert f"{file}:8: runners.kubeflow.defaults.retries.max_backoff = '10m': unknown key" in said
    assert re.search(r"w\.yaml:11: runners\.kubeflow\.defaults\.volumes\.?\[?0\]?\.claim.*'feeds\.eu' has to be", said)
    assert re.search(r"w\.yaml:14: .*Gt needs exactly one of values, a whole number", said)


def test_the_schema_for_editors_says_it_too() -> None:
    from pipeline.workflow_schema import workflow_schema

    retries = workflow_schema()["$defs"]["RetrySettings"]["properties"]
    assert retries["factor"]["type"] == "integer" and "max_backoff" not in json.dumps(retries)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pipeline_root": "/local"},
        {"pipeline_root": "minio:bucket"},
        {"feed": "relative/folder"},
        {"metadata": "nohost"},
        {"defaults": {"memory": "16 GB"}},
        {"defaults": {"timeout": "2 hours"}},
        {"defaults": {"volumes": [{"path": "/x"}]}},
        {"defaults": {"volumes": [{"path": "/x", "claim": "c", "secret": "s"}]}},
        {"defaults": {"volumes": [{"path": "x", "claim": "c"}]}},
        {"defaults": {"tolerations": [{"key": "k", "operator": "Equal"}]}},
        {"defaults": {"environment": {"NO-NAME": "x"}}},
        {"defaults": {"gpu": {"count": 0}}},
        {"defaults": {"nodes": 3}},
        {"defaults": {"retries": {"factor": 1.5}}},
        {"defaults": {"retries": {"count": 20, "factor": 10}}},
        {"defaults": {"retries": {"backoff": "1h", "max_duration": "1h"}}},
        {"defaults": {"timeout": "9999999h"}},
        {"defaults": {"node_selector": {"a b": "x"}}},
        {"defaults": {"node_selector": {"pool": "x y"}}},
        {"defaults": {"node_affinity": [{"match_expressions": []}]}},
        {"defaults": {"node_affinity": [{"match_expressions": [{"key": "a"}]}]}},
        {"defaults": {"node_affinity": [{"match_expressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}]}},
        {"defaults": {"node_affinity": [{"match_expressions": [{"key": "a", "values": ["x"]}], "weight": 101}]}},
        {"defaults": {"volumes": [{"path": "/x", "claim": "c"}, {"path": "/x/", "secret": "s"}]}},
        {"defaults": {"volumes": [{"path": "/x", "claim": "c"}, {"path": "/y", "secret": "c"}]}},
        {"defaults": {"shared_memory": "1Gi", "volumes": [{"path": "/dev/shm", "claim": "c"}]}},
        {"defaults": {"volumes": [{"path": "/x", "claim": "volume-1"}]}},
        {"defaults": {"secret_environment": {"K": {"secret": "a..b", "key": "k"}}}},
        {"metadata": "grpcs://host"},
        {"metadata": "grpcs://me:secret@host:1"},
        {"metadata": "host:1?ca=/x"},
    ],
    ids=str,
)
def test_mistakes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KubeflowSettings.model_validate(wrong)
