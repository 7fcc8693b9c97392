"""The entrypoint's parts: addresses, run parameters, inline files. No TFX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from modules.errors import InputError
from pipeline.kubeflow.container.invocation import Invocation, write_output
from pipeline.kubeflow.container.staging import Staging
from pipeline.kubeflow.files import unpack_files
from pipeline.kubeflow.overrides import Override, apply_overrides, from_argument, to_argument


@pytest.mark.parametrize("root", ["/", "/tmp/pod"])
@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ("minio://b/k", "minio/b/k"),
        ("s3://b/k/x y", "s3/b/k/x y"),
        ("gs://b", "gcs/b"),
    ],
)
def test_addresses_both_ways(root: str, remote: str, local: str) -> None:
    staging, path = Staging(root), f"{root.rstrip('/')}/{local}"
    assert staging.local(remote) == path and staging.remote(path) == remote
    text = f'{{"a": "{remote}", "b": [" {remote}"]}}'
    assert staging.remote(staging.local(text)) == text


@pytest.mark.parametrize("text", ["http://host/minio/x", "/data/minio/x", "a.minio://b", "gs:/b", "", "/miniox/b"])
def test_other_texts_stay(text: str) -> None:
    assert Staging("/").local(text) == text == Staging("/").remote(text)


def test_overrides_reach_into_json() -> None:
    inner = json.dumps({"training": {"epochs": 30, "rate": 0.1}, "files": ["a"], "queue": None})
    properties = {
        "custom_config": json.dumps({"workflow": inner, "weights": {}}), "folder": "/here",
        "run_epochs": 5.0, "run_rate": 1.0, "run_feed": "gs://b", "run_labels": "", "run_other": "s3://c",
    }  # fmt: skip
    where = "custom_config", "workflow"
    overrides = [
        Override("epochs", (*where, "training", "epochs")),
        Override("rate", (*where, "training", "rate")),
        Override("feed", ("folder",)),
        Override("labels", (*where, "files"), append=True, text="{}/labels.jsonl"),
        Override("labels", (*where, "queue"), text="{}/queued.jsonl"),
        Override("other", (*where, "files"), append=True, text="{}/labels.jsonl"),
    ]
    apply_overrides(properties, from_argument(to_argument(overrides)))
    assert set(properties) == {"custom_config", "folder"} and properties["folder"] == "gs://b"
    opened = json.loads(json.loads(str(properties["custom_config"]))["workflow"])
    assert opened == {"training": {"epochs": 5, "rate": 1.0}, "files": ["a", "s3://c/labels.jsonl"], "queue": None}
    assert isinstance(opened["training"]["epochs"], int)


@pytest.mark.parametrize("value", [2.5, 1e-9, float("inf")])
def test_a_broken_number_for_a_whole_one(value: float) -> None:
    """Kubeflow's page knows numbers of one kind, and lets it through."""
    properties = {"settings": json.dumps({"epochs": 3, "rate": 0.5}), "run_epochs": value}
    with pytest.raises(InputError, match=rf"run parameter epochs = '{value}': expected a whole number"):
        apply_overrides(properties, [Override("epochs", ("settings", "epochs"))])
    properties = {"settings": json.dumps({"epochs": 3, "rate": 0.5}), "run_rate": value}
    apply_overrides(properties, [Override("rate", ("settings", "rate"))])
    assert json.loads(str(properties["settings"]))["rate"] == value


def test_inline_files() -> None:
    properties = {"schema_file": "file:inline,../s.pbtxt,feature {\n  name: ','\n}", "other": "file:inline"}
    unpack_files(properties)
    path = Path(str(properties["schema_file"]))
    assert path.name == "s.pbtxt" and path.read_text() == "feature {\n  name: ','\n}"
    assert properties["other"] == "file:inline"


def test_invocation_types_leaves_out_and_translates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_STAGING_ROOT", str(tmp_path))
    nothing = tmp_path / "minio/b/none"
    nothing.mkdir(parents=True)
    (nothing / "NO_BLESSED_MODEL").touch()
    kind = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
    given = {"uri": "minio://b/m", "type": {"instanceSchema": ""}, "metadata": {"from": "minio://b/x", "n": 3}}
    source = {
        "inputs": {
            "parameterValues": {"epochs": 5.0, "rate": 1.0},
            "artifacts": {
                "model": {"artifacts": [given]},
                "before": {"artifacts": [{"uri": "minio://b/none", "type": {"instanceSchema": ""}}]},
            },
        },
        "outputs": {
            "outputFile": "gs://b/out/output_metadata.json",  # as Vertex AI may say it
            "artifacts": {
                "copy": {"artifacts": [{"uri": "minio://b/r/copy", "type": kind}]},
                "executor-logs": {"artifacts": [{"uri": "minio://b/r/l", "type": {"schemaTitle": "system.Artifact"}}]},
                "plot": {"artifacts": [{"uri": "minio://b/r/p", "type": {"schemaTitle": "system.HTML"}}]},
            },
        },
    }
    spec = {
        "artifacts": {"model": {"artifactType": kind}, "before": {"artifactType": kind}},
        "parameters": {"epochs": {"parameterType": "NUMBER_INTEGER"}, "rate": {"parameterType": "NUMBER_DOUBLE"}},
    }
    invocation = Invocation.of(
        argparse.Namespace(
            json_serialized_invocation_args=json.dumps(source),
            json_serialized_inputs_spec_args=json.dumps(spec),
            overrides=None,
        )
    )
    (model,) = invocation.inputs["model"]["artifacts"]
    assert list(invocation.inputs) == ["model"] and model["type"] == kind
    assert model["uri"] == f"{tmp_path}/minio/b/m" and model["metadata"] == {"from": f"{tmp_path}/minio/b/x", "n": 3}
    assert list(invocation.outputs) == ["copy"] and list(invocation.own) == ["plot"]
    assert invocation.output_file == f"{tmp_path}/gcs/b/out/output_metadata.json"
    assert invocation.properties() == {"epochs": 5, "rate": 1.0}
    assert isinstance(invocation.properties()["epochs"], int)
    made = {"uri": f"{tmp_path}/minio/b/r/copy", "metadata": {"of": model["uri"], "empty": None, "n": 1.0}}
    write_output(invocation, {"artifacts": {"copy": {"artifacts": [made]}}})
    (written,) = json.loads(Path(invocation.output_file).read_text())["artifacts"]["copy"]["artifacts"]
    assert written == {"uri": "minio://b/r/copy", "metadata": {"of": "minio://b/m", "n": 1.0}}
