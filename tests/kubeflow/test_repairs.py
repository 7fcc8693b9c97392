"""What stock TFX emits fails on open-source Kubeflow Pipelines, thing by thing; what we make of it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from modules.errors import InputError
from pipeline.kubeflow.resources import threads_within
from tests.kubeflow.refusals import Compile, refused

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster
    from tests.kubeflow.emulator.metadata import Certificate

pytestmark = pytest.mark.slow


def test_schema_version(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from tests.kubeflow import toy

    refused(cluster, stock(toy.pipeline(toy.Make()), schema_2_1=False), "only supports schema version 2.1.0")
    assert cluster.run(ours(toy.pipeline(toy.Make()))).steps["Make"].state == "COMPLETE"


def test_defaults_of_runtime_parameters(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from tfx.orchestration.data_types import RuntimeParameter

    from tests.kubeflow import toy

    def pipeline() -> Any:
        return toy.pipeline(toy.Make(text=RuntimeParameter("text", ptype=str, default="by default")))

    with pytest.raises(KeyError, match="parameterType"):
        stock(pipeline(), schema_2_1=False)
    refused(cluster, stock(pipeline()), "parameter text is not optional, yet has neither default value")
    package = ours(pipeline())
    run = cluster.run(package)
    assert cluster.artifact(run, "Make", "model")["metadata"]["letters"] == len("by default")
    given = cluster.run(package, {"text": "given"})
    assert cluster.artifact(given, "Make", "model")["metadata"]["letters"] == len("given")
    refused(cluster, package, "not required by pipeline: test", parameters={"test": "x"})


def test_resolver(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
    from tfx.types import Channel
    from tfx.types.standard_artifacts import Model, ModelBlessing

    from tests.kubeflow import toy

    def pipeline(text: str) -> Any:
        make = toy.Make(text=text)
        last = Resolver(
            strategy_class=LatestBlessedModelStrategy,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("Last")
        compare = toy.Compare(make.outputs["model"], last.outputs["model"])
        bless = toy.Bless(model=make.outputs["model"])
        bless.add_upstream_node(compare)
        return toy.pipeline(make, last, compare, bless)

    refused(cluster, stock(pipeline("first")), "non-container and non-importer executor not implemented")
    found = []
    for text in ("first", "second", "third"):
        run = cluster.run(ours(pipeline(text), metadata=cluster.address))
        found.append(cluster.artifact(run, "Compare", "result")["metadata"]["before"])
    assert found == ["none", "first", "second"]
    # Nothing changed: the model is compared with itself, under another artifact.
    again = cluster.run(ours(pipeline("third"), metadata=cluster.address))
    imported, made = (
        cluster.artifact(again, "Last-import/Last-importer", "model"),
        cluster.artifact(run, "Make", "model"),
    )
    assert again.steps["Make"].state == "CACHED" and imported["uri"] == made["uri"]
    assert cluster.artifact(again, "Compare", "result")["metadata"]["before"] == "third"


def test_resolver_without_ml_metadata(make_cluster: Callable[..., Cluster], ours: Compile) -> None:
    """Kubeflow 3.0: types as documents, and the artifacts API in place of ML Metadata."""
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
    from tfx.types import Channel
    from tfx.types.standard_artifacts import Model, ModelBlessing

    from tests.kubeflow import toy
    from tests.kubeflow.artifacts_server import serving

    def pipeline(text: str) -> Any:
        make = toy.Make(text=text)
        last = Resolver(
            strategy_class=LatestBlessedModelStrategy,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("Last")
        compare = toy.Compare(make.outputs["model"], last.outputs["model"])
        bless = toy.Bless(model=make.outputs["model"])
        bless.add_upstream_node(compare)
        return toy.pipeline(make, last, compare, bless)

    cluster, found = make_cluster(version=(3, 0)), []
    started: list[str] = []
    with serving() as server:
        cluster.on_start = lambda run: started.append(server.add_run("toy", run=run.id))
        for text in ("first", "second", "third"):
            run = cluster.run(ours(pipeline(text), artifacts_api=server.endpoint))
            found.append(cluster.artifact(run, "Compare", "result")["metadata"]["before"])
            for step, key, title in (("Make", "model", "tfx.Model"), ("Bless", "blessing", "tfx.ModelBlessing")):
                made = cluster.artifact(run, step, key)
                server.add(run.id, key, title, made["uri"], made["metadata"])
    assert found == ["none", "first", "second"]
    # The note is there with a model, too.
    note = cluster.store.path(cluster.artifact(run, "Last", "note")["uri"])
    assert [file.name for file in note.iterdir()] == ["LAST_BLESSED_MODEL"]


def test_types_of_inputs(make_cluster: Callable[..., Cluster], stock: Compile, ours: Compile) -> None:
    from tests.kubeflow import toy

    def pipeline() -> Any:
        make = toy.Make()
        return toy.pipeline(make, toy.Copy(model=make.outputs["model"]))

    # Without logs, and a first step that is mended.
    cluster = make_cluster(publish_logs=False)
    mended = ours(pipeline())
    half, plain = (next(yaml.safe_load_all(text)) for text in (mended, stock(pipeline())))
    executors = half["deploymentSpec"]["executors"]
    executors["Copy_executor"] = plain["deploymentSpec"]["executors"]["Copy_executor"]
    refused(cluster, yaml.safe_dump(half), "'NoneType' object has no attribute 'get'")
    run = cluster.run(mended)
    copied = cluster.artifact(run, "Copy", "copy")
    assert cluster.store.path(copied["uri"] + "/copy.txt").read_text() == "a model"


def test_executor_logs(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from tests.kubeflow import toy

    refused(cluster, stock(toy.pipeline(toy.Make())), "system.Artifact")
    run = cluster.run(ours(toy.pipeline(toy.Make())))
    log = cluster.store.path(cluster.artifact(run, "Make", "executor-logs")["uri"])
    assert "Starting executor" in log.read_text()


@pytest.mark.parametrize("root", ["minio://mlpipeline/v2", "s3://bucket/v2", "gs://bucket"])
@pytest.mark.parametrize("version", [(2, 14), (2, 16)])
def test_addresses(make_cluster: Callable[..., Cluster], ours: Compile, root: str, version: tuple[int, int]) -> None:
    from tests.kubeflow import toy

    cluster = make_cluster(publish_logs=False, version=version)
    make = toy.Make()
    run = cluster.run(ours(toy.pipeline(make, toy.Copy(model=make.outputs["model"]))), root=root)
    model, copied = cluster.artifact(run, "Make", "model"), cluster.artifact(run, "Copy", "copy")
    assert model["uri"].startswith(f"{root}/toy/{run.id}/Make/")
    # Texts that hold an address, too, also where they came with an input.
    assert model["metadata"]["written_to"] == copied["metadata"]["source"] == model["uri"]
    assert cluster.store.path(copied["uri"] + "/copy.txt").read_text() == "a model"
    assert not list(cluster.folder.glob("pod-*"))


def test_minio_addresses_are_nothing_to_tfx(make_cluster: Callable[..., Cluster], stock: Compile) -> None:
    from tests.kubeflow import toy

    refused(make_cluster(publish_logs=False), stock(toy.pipeline(toy.Make())), "scheme 'minio' not implemented")


def test_drivers_and_caches(cluster: Cluster, ours: Compile, tmp_path: Path) -> None:
    from pipeline.kubeflow.parameters import RunParameter
    from tests.kubeflow import toy

    file = tmp_path / "feed.txt"
    settings = json.dumps({"training": {"epochs": 3}, "files": ["a"]})

    def pipeline() -> Any:
        return toy.pipeline(toy.Read(str(file), settings))

    parameters = [
        RunParameter("training_epochs", 3, "", {"Read": ((("settings", "training", "epochs"), False, None),)}),
        RunParameter("snapshot", "", "", {"Read": ((("settings", "files"), True, "{}/labels.jsonl"),)}),
    ]
    # The stock component, in an entrypoint that survives, is served from the cache although its file changed.
    package = ours(pipeline())
    spec = next(yaml.safe_load_all(package))
    del spec["root"]["dag"]["tasks"]["Read"]["inputs"]["parameters"]["fingerprint"]["taskOutputParameter"]
    spec["root"]["dag"]["tasks"]["Read"]["inputs"]["parameters"]["fingerprint"]["runtimeValue"] = {"constant": ""}
    undriven = yaml.safe_dump(spec)
    package = ours(pipeline(), parameters)

    def run(text: str, content: str, **values: Any) -> tuple[str, dict[str, Any]]:
        file.write_text(content)
        done = cluster.run(text, values)
        return done.steps["Read"].state, cluster.artifact(done, "Read", "examples")["metadata"]

    assert run(undriven, "one")[0] == "COMPLETE"
    assert run(undriven, "two")[0] == "CACHED"
    state, found = run(package, "one")
    assert (state, found["text"], found["training"], found["files"]) == ("COMPLETE", "one", '{"epochs": 3}', '["a"]')
    assert (found["split_names"], found["span"]) == ('["train"]', 7)
    assert run(package, "one")[0] == "CACHED"
    state, found = run(package, "two")
    assert (state, found["text"]) == ("COMPLETE", "two")
    state, found = run(package, "two", training_epochs=5, snapshot="gs://b/s")
    assert (state, found["training"]) == ("COMPLETE", '{"epochs": 5}')
    assert json.loads(found["files"]) == ["a", "gs://b/s/labels.jsonl"]


def test_importers(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from tfx.dsl.components.common.importer import Importer
    from tfx.types.standard_artifacts import Model

    from tests.kubeflow import toy

    def pipeline(uri: str) -> Any:
        importer = Importer(source_uri=uri, artifact_type=Model, custom_properties={"letters": 7}).with_id("Bring")
        return toy.pipeline(importer, toy.Copy(model=importer.outputs["result"]))

    refused(cluster, stock(pipeline("/somewhere")), "no provider scheme found in artifact URI: /somewhere")
    with pytest.raises(InputError, match="Bring = '/somewhere': a gs://, s3:// or minio:// address"):
        ours(pipeline("/somewhere"))
    file = cluster.store.path("minio://mlpipeline/elsewhere/text.txt")
    file.parent.mkdir(parents=True)
    file.write_text("brought")
    run = cluster.run(ours(pipeline("minio://mlpipeline/elsewhere")))
    copied = cluster.artifact(run, "Copy", "copy")
    assert cluster.store.path(copied["uri"] + "/copy.txt").read_text() == "brought"


def test_parameters_from_outputs(make_cluster: Callable[..., Cluster], stock: Compile, ours: Compile) -> None:
    from tests.kubeflow import toy

    def pipeline() -> Any:
        count = toy.Count()
        return toy.pipeline(count, toy.PlusOne(count.outputs["number"].future()[0].value))

    cluster = make_cluster()
    spec = next(yaml.safe_load_all(stock(pipeline())))
    producer = spec["root"]["dag"]["tasks"]["PlusOne"]["inputs"]["parameters"]["number"]["taskOutputParameter"]
    assert producer["producerTask"] == "Count_task"
    # With all else mended.
    mended = ours(pipeline())
    refused(cluster, mended.replace("producerTask: Count\n", "producerTask: Count_task\n"), "cannot find producer task")
    run = cluster.run(mended)
    assert cluster.store.path(cluster.artifact(run, "PlusOne", "result")["uri"]).read_text() == "43"


def test_null_metadata(cluster: Cluster, ours: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.kubeflow import toy
    from tests.kubeflow.emulator.metadata import to_value

    with pytest.raises(ValueError, match="unknown/unsupported value type"):
        to_value(None)
    metadata = cluster.artifact(cluster.run(ours(toy.pipeline(toy.Leave()))), "Leave", "model")["metadata"]
    assert metadata["something"] == "here" and "nothing" not in metadata


RESOURCES: dict[str, Any] = {
    "cpu": "4",
    "memory": "16Gi",
    "gpu": {"type": "nvidia.com/gpu", "count": 2},
    "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
    "node_affinity": [
        {
            "match_expressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "ssd", "operator": "Exists"},
            ]
        },
        {"match_expressions": [{"key": "cpus", "operator": "Gt", "values": ["15"]}], "weight": 50},
    ],
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "shared_memory": "2Gi",
    "volumes": [{"path": "/feeds", "claim": "feeds"}, {"path": "/scratch", "empty": "50Gi"}],
    "environment": {"LUCKY": "yes"},
    "secret_environment": {"AWS_SECRET_ACCESS_KEY": {"secret": "mlpipeline-minio-artifact", "key": "secretkey"}},
    "timeout": "2h",
}


def test_resources(cluster: Cluster, stock: Compile, ours: Compile) -> None:
    from kfp.pipeline_spec import pipeline_spec_pb2

    from tests.kubeflow import toy
    from tests.kubeflow.emulator.kubernetes import pod_of
    from tests.kubeflow.emulator.server import parse_package

    asked = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(cpu_limit=4)
    asked.accelerator.type, asked.accelerator.count = "NVIDIA_TESLA_T4", 1
    spec, kubernetes = parse_package(stock(toy.pipeline(toy.Make().with_platform_config(asked))))
    pod = pod_of(spec["deploymentSpec"]["executors"]["Make_executor"]["container"], {})
    assert not pod.schedulable({"nvidia.com/gpu"}) and not kubernetes

    run = cluster.run(ours(toy.pipeline(toy.Flaky()), components={"Flaky": RESOURCES}))
    pod = run.steps["Flaky"].pod
    assert pod is not None and pod.schedulable({"nvidia.com/gpu"})
    assert pod.limits == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}
    assert pod.node_selector == RESOURCES["node_selector"] and pod.tolerations == RESOURCES["tolerations"]
    assert pod.required_nodes == [RESOURCES["node_affinity"][0]["match_expressions"]]
    assert pod.preferred_nodes == [(50, RESOURCES["node_affinity"][1]["match_expressions"])]
    assert set(pod.volumes) == {
        ("Memory", "shared-memory", "/dev/shm"),
        ("claim", "feeds", "/feeds"),
        ("empty", "volume-1", "/scratch"),
    }
    assert pod.environment == {"LUCKY": "yes", **threads_within("4")} and pod.deadline == 7200
    assert pod.secret_environment == {"AWS_SECRET_ACCESS_KEY": ("mlpipeline-minio-artifact", "secretkey")}
    with pytest.raises(InputError, match="components = 'Flakey': one of: Flaky; did you mean 'Flaky'"):
        ours(toy.pipeline(toy.Flaky()), components={"Flakey": RESOURCES})


def test_last_blessed_model_over_tls(
    make_cluster: Callable[..., Cluster], ours: Compile, tmp_path: Path, certificate: Certificate
) -> None:
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
    from tfx.types import Channel
    from tfx.types.standard_artifacts import Model, ModelBlessing

    from tests.kubeflow import toy

    def run(text: str, metadata: str) -> Any:
        make = toy.Make(text=text)
        last = Resolver(
            strategy_class=LatestBlessedModelStrategy,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("Last")
        compare = toy.Compare(make.outputs["model"], last.outputs["model"])
        bless = toy.Bless(model=make.outputs["model"])
        bless.add_upstream_node(compare)
        done = cluster.run(ours(toy.pipeline(make, last, compare, bless), metadata=metadata))
        return cluster.artifact(done, "Compare", "result")["metadata"]["before"]

    cluster = make_cluster(tls=certificate)
    assert cluster.address.startswith("grpcs://localhost:")
    assert [run(text, cluster.address) for text in ("first", "second")] == ["none", "first"]
    plain = cluster.address.removeprefix("grpcs://").partition("?")[0]
    from tests.kubeflow.emulator.cluster import StepFailed

    with pytest.raises(StepFailed, match="one that speaks TLS is grpcs://HOST:PORT") as caught:
        run("third", plain)
    assert "Traceback" not in str(caught.value).partition("ML Metadata cannot be opened")[2]


def test_steps_that_only_kubeflow_has(cluster: Cluster, ours: Compile, tmp_path: Path) -> None:
    """Their settings are their own; what exists is named."""
    from tests.kubeflow import toy

    (tmp_path / "feed.txt").write_text("one")
    asked = {
        "Read-fingerprint": {"memory": "1Gi", "timeout": "1h"},
        "Read": {"memory": "32Gi", "environment": {"A": "b"}},
    }
    package = ours(toy.pipeline(toy.Read(str(tmp_path / "feed.txt"))), defaults={"cpu": "2"}, components=asked)
    steps = cluster.run(package).steps
    read, light = steps["Read"].pod, steps["Read-fingerprint"].pod
    assert read is not None and light is not None
    assert (read.limits, light.limits) == ({"cpu": "2", "memory": "32Gi"}, {"cpu": "2", "memory": "1Gi"})
    assert light.environment == read.environment == {"A": "b", **threads_within("2")}
    assert (light.deadline, read.deadline) == (3600, None)
    with pytest.raises(InputError, match="one of: Read, Read-fingerprint; did you mean 'Read-fingerprint'"):
        ours(toy.pipeline(toy.Read("x")), components={"Read-fingerprints": {}})


def test_defaults_of_another_type(ours: Compile) -> None:
    from tfx.orchestration.data_types import RuntimeParameter

    from tests.kubeflow import toy

    text = RuntimeParameter("text", ptype=str)
    text.default = 2.5
    with pytest.raises(InputError, match=r"Make\.text = '2\.5': expected a text as the default of a run parameter"):
        ours(toy.pipeline(toy.Make(text=text)))


def test_artifact_type_names(stock: Compile, ours: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.artifact_types import Quarantine
    from tests.kubeflow import toy

    make = toy.Make()
    pipeline = toy.pipeline(make, toy.Copy(model=make.outputs["model"]))
    monkeypatch.setattr(Quarantine, "TYPE_NAME", "components.artifact_types.Quarantine")
    with pytest.raises(ValueError, match="Invalid custom artifact type name"):
        stock(pipeline)
    with pytest.raises(InputError, match=r"Copy\.copy: the artifact type to be named <module>\.<Class>"):
        ours(pipeline)


def test_infra_validator(stock: Compile, ours: Compile) -> None:
    from tfx.components import InfraValidator
    from tfx.proto import infra_validator_pb2

    from tests.kubeflow import toy

    make = toy.Make()
    spec = infra_validator_pb2.ServingSpec(tensorflow_serving={"tags": ["latest"]}, local_docker={})
    pipeline = toy.pipeline(make, InfraValidator(model=make.outputs["model"], serving_spec=spec))
    with pytest.raises(NotImplementedError):
        stock(pipeline)
    with pytest.raises(InputError, match="InfraValidator cannot run on Kubeflow"):
        ours(pipeline)


def test_file_based_example_gen(cluster: Cluster, stock: Compile, ours: Compile, tmp_path: Path) -> None:
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.components import CsvExampleGen
    from tfx.proto import example_gen_pb2

    from tests.kubeflow import toy

    folder = tmp_path / "feed"
    for span in (1, 2):
        (folder / f"span-{span}").mkdir(parents=True)
        (folder / f"span-{span}" / "data.csv").write_text("a,b\n" + "1,2\n" * 20)
    asked = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(cpu_limit=4)

    def pipeline() -> Any:
        split = example_gen_pb2.Input.Split(name="all", pattern="span-{SPAN}/*")
        gen = CsvExampleGen(input_base=str(folder), input_config=example_gen_pb2.Input(splits=[split]))
        return toy.pipeline(gen.with_platform_config(asked))

    package = stock(pipeline())
    container = next(yaml.safe_load_all(package))["deploymentSpec"]["executors"]["CsvExampleGen_executor"]["container"]
    assert "preCacheCheck" in container["lifecycle"] and "resources" not in container
    # With all else mended, but no driver.
    mended = ours(pipeline(), components={"CsvExampleGen": {"cpu": "4"}})
    spec = next(yaml.safe_load_all(mended))
    arguments = spec["deploymentSpec"]["executors"]["CsvExampleGen_executor"]["container"]["args"]
    place = arguments.index("--driver_module")
    del arguments[place : place + 2]
    refused(cluster, yaml.safe_dump(spec), "SPAN|did not match|Unable to match")
    run = cluster.run(mended)
    step = run.steps["CsvExampleGen"]
    assert step.pod is not None and step.pod.limits == {"cpu": "4"}
    log = cluster.store.path(cluster.artifact(run, "CsvExampleGen", "executor-logs")["uri"]).read_text()
    assert "span-2/" in log and "span-1/" not in log
    assert cluster.run(mended).steps["CsvExampleGen"].state == "COMPLETE"
