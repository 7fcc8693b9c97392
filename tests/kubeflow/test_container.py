"""The entrypoint's parts: addresses, run parameters, inline files. No TFX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from pipeline.kubeflow.container.artifact import addresses, schema_title
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


TITLES = st.from_regex(r"[a-z]{1,8}(\.[A-Za-z]{1,8}){0,2}", fullmatch=True).filter(
    lambda text: isinstance(yaml.safe_load(text), str)
)
DOCUMENTS = st.sampled_from([yaml.safe_dump, json.dumps, lambda document: json.dumps(document, indent=1)])


@given(TITLES, DOCUMENTS, st.sampled_from(["schemaTitle", "instanceSchema"]), st.text())
def test_a_types_title_in_every_form(title: str, dump: Any, key: str, more: str) -> None:
    document = dump({"title": title, "type": "object", "properties": {"span": {"description": more}}})
    assert schema_title({key: document}) == schema_title({key: title}) == title
    assert schema_title({"schemaTitle": "", "instanceSchema": document}) == title


@given(st.one_of(st.none(), st.text(), st.lists(st.text()), st.integers(), st.dictionaries(st.text(), st.text())))
def test_any_type_and_address_can_be_read(given: object) -> None:
    assert isinstance(schema_title({"schemaTitle": given}), str)
    found = addresses({"uri": given})
    assert all(isinstance(one, str) and one for one in found)
    assert not isinstance(given, str) or found == [given] * bool(given)


FORMS = [
    {"type": {"instanceSchema": ""}},
    {"type": {}},
    {"type": None},
    {},
    {"type": {"schemaTitle": "tfx.Model"}},
    {"type": {"schemaTitle": "title: tfx.Model\ntype: object\n"}},
    {"type": {"schemaTitle": '{"title": "tfx.Model", "type": "object"}'}},
    {"type": {"instanceSchema": "tfx.Model"}},
    {"type": {"schemaTitle": "Artifact"}},
    {"type": {"schemaTitle": "title: [unclosed"}},
]


def invocation_of(inputs: dict[str, Any], spec: dict[str, Any]) -> Invocation:
    return Invocation.of(
        argparse.Namespace(
            json_serialized_invocation_args=json.dumps({"inputs": {"artifacts": inputs}}),
            json_serialized_inputs_spec_args=json.dumps(spec),
            overrides=None,
        )
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_component_knows_its_inputs_types(form: dict[str, Any]) -> None:
    kind = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
    artifact = {"name": "model", "artifactId": "8f3", "uri": ["gs://b/m"], **form}
    found = invocation_of({"model": {"artifacts": [artifact]}}, {"artifacts": {"model": {"artifactType": kind}}})
    (model,) = found.inputs["model"]["artifacts"]
    assert model["type"] == kind and model["name"] == "8f3" and model["uri"] == "/gcs/b/m"
    found.require_addresses()


@pytest.mark.parametrize(
    ("uri", "said"), [([], "none"), ("", "none"), (None, "none"), (["gs://b/1", "gs://b/2"], "gave 2")]
)
def test_an_executor_needs_one_address(uri: Any, said: str) -> None:
    found = invocation_of({"model": {"artifacts": [{"name": "1", "uri": uri}]}}, {})
    with pytest.raises(InputError, match=f"the input model: one address of the artifact; Kubeflow gave.*{said[-1]}"):
        found.require_addresses()
