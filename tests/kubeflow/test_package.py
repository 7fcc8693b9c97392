"""The demo's package: what other programs read in it, and what a run is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules.errors import InputError
from modules.settings.kubeflow import KubeflowSettings
from pipeline.kubeflow.entrypoint import COMMAND
from pipeline.kubeflow.package import Target
from pipeline.workflow_file import LoadedWorkflow, load_workflow
from tests.kubeflow.backend import NotHere, build, judge
from tests.kubeflow.demo import load_demo
from tests.kubeflow.emulator.argo import Strategy

pytestmark = pytest.mark.slow

SETTINGS = {
    "image": "registry.example/shelfmark:1",
    "defaults": {"retries": {"count": 2}, "memory": "4Gi"},
    "components": {
        "Trainer": {
            "gpu": {"count": 2},
            "shared_memory": "1Gi",
            "node_selector": {"pool": "gpu"},
            "node_affinity": [{"match_expressions": [{"key": "zone", "values": ["a"]}], "weight": 5}],
            "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
            "volumes": [{"path": "/feeds", "claim": "feeds"}, {"path": "/secret", "secret": "s"}],
            "secret_environment": {"KEY": {"secret": "s", "key": "k"}},
            "timeout": "3h",
        },
        "ProductExampleGen": {"volumes": [{"path": "/feeds", "claim": "feeds"}], "cpu": "2"},
        "Predictor": {"cache": False},
        "Report": {"memory": "2Gi", "node_selector": {"pool": "small"}},
        "LastBlessedModel": {"memory": "1Gi", "timeout": "10m"},
        "ActiveSampler-fingerprint": {"tolerations": [{"key": "feeds"}]},
    },
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pipeline.kubeflow.compiler import compile_workflow

    folder = tmp_path_factory.mktemp("package")
    output = folder / "pipeline.yaml"
    compile_workflow(load_demo(folder / "feed", f"runners.kubeflow={json.dumps(SETTINGS)}"), output)
    return output


@pytest.fixture(scope="module")
def documents(package: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(package.read_text()))


def test_sdk_reads_it(package: Path) -> None:
    from kfp import components
    from kfp.client.client import _extract_pipeline_yaml

    component = components.load_component_from_file(str(package))
    assert component.name == "demo"
    names = {"feed", "label_snapshot", "prediction_batch_size", "sampling_size", "training_batch_size"}
    assert set(component.component_spec.inputs) == names | {"training_epochs", "training_learning_rate"}
    read = _extract_pipeline_yaml(str(package))
    assert read.pipeline_spec.root.dag.tasks["Trainer"].component_ref.name == "Trainer"
    assert read.platform_spec.platforms["kubernetes"].deployment_spec.executors["Trainer_executor"]


def test_emulated_server_takes_it(package: Path) -> None:
    from tests.kubeflow.emulator.server import compile_spec, parse_package, run_values

    spec, kubernetes = parse_package(package.read_text())
    compile_spec(spec)
    assert run_values(spec, {"training_epochs": 7})["training_epochs"] == 7
    assert set(kubernetes) == {
        "Trainer_executor",
        "ProductExampleGen_executor",
        # Reads the same files.
        "ProductExampleGen-fingerprint_executor",
        "ActiveSampler-fingerprint_executor",
        "LastBlessedModel_executor",
        "Report_executor",
    }
    limits = {
        name: spec["deploymentSpec"]["executors"][f"{name}_executor"]["container"]["resources"]
        for name in ("ProductExampleGen-fingerprint", "LastBlessedModel", "Report")
    }
    assert {name: its["resourceMemoryLimit"] for name, its in limits.items()} == {
        "ProductExampleGen-fingerprint": "4Gi", "LastBlessedModel": "1Gi", "Report": "2Gi"
    }  # fmt: skip
    assert "cpuLimit" not in limits["ProductExampleGen-fingerprint"]
    assert kubernetes["Report_executor"] == {"nodeSelector": {"labels": {"pool": "small"}}}
    assert kubernetes["LastBlessedModel_executor"] == {"activeDeadlineSeconds": "600"}


def test_every_container_has_our_entrypoint(documents: list[dict[str, Any]]) -> None:
    spec = documents[0]
    commands = {
        name.removesuffix("_executor"): entry["container"]["command"]
        for name, entry in spec["deploymentSpec"]["executors"].items()
        if "container" in entry
    }
    assert {tuple(command[:3]) for command in commands.values()} == {("python", "-m", "pipeline.kubeflow.container")}
    assert {name: command[3] for name, command in commands.items() if command[3] != "execute"} == {
        "LastBlessedModel": "last-blessed",
        "ProductExampleGen-fingerprint": "fingerprint",
        "ActiveSampler-fingerprint": "fingerprint",
        "Report": "report",
    }
    text = json.dumps(spec)
    assert '"resolver"' not in text and "preCacheCheck" not in text


def test_caching_retries_and_limits(documents: list[dict[str, Any]]) -> None:
    tasks, executors = documents[0]["root"]["dag"]["tasks"], documents[0]["deploymentSpec"]["executors"]
    cached = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    prints = {"ProductExampleGen-fingerprint", "ActiveSampler-fingerprint"}
    assert set(tasks) - cached == prints | {"LastBlessedModel", "LastBlessedModel-import", "Predictor", "Report"}
    assert tasks["Evaluator"]["retryPolicy"]["maxRetryCount"] == 2
    trainer = executors["Trainer_executor"]["container"]["resources"]
    assert trainer["resourceMemoryLimit"] == "4Gi" and trainer["memoryLimit"] == pytest.approx(4.294967296)
    assert trainer["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert executors["ProductExampleGen_executor"]["container"]["resources"]["cpuLimit"] == 2.0
    threads = {entry["name"]: entry["value"] for entry in executors["ProductExampleGen_executor"]["container"]["env"]}
    assert threads["OMP_NUM_THREADS"] == "2" and "env" not in executors["Trainer_executor"]["container"]


def test_report_reads_what_the_run_made_and_no_examples(documents: list[dict[str, Any]]) -> None:
    task = documents[0]["root"]["dag"]["tasks"]["Report"]
    read = {
        (source["taskOutputArtifact"]["producerTask"], source["taskOutputArtifact"]["outputArtifactKey"])
        for source in task["inputs"]["artifacts"].values()
    }
    assert read == {
        ("ProductExampleGen", "taxonomy"), ("ProductExampleGen", "quarantine"), ("ProductExampleGen", "scalars"),
        ("Trainer", "model"), ("Evaluator", "evaluation"), ("Evaluator", "blessing"), ("ClassMetrics", "metrics"),
        ("Predictor", "predictions"), ("ActiveSampler", "labelling_batch"),
    }  # fmt: skip
    assert set(task["dependentTasks"]) == {producer for producer, _ in read}
    made = documents[0]["components"]["Report"]["outputDefinitions"]["artifacts"]
    assert {name: output["artifactType"]["schemaTitle"] for name, output in made.items()} == {
        "page": "system.HTML", "batch_page": "system.HTML", "confusion_exclusive": "system.ClassificationMetrics"
    }  # fmt: skip


def test_arguments_stay_small(documents: list[dict[str, Any]]) -> None:
    """All of a task's parameters come in one argument, beside addresses."""
    for name, task in documents[0]["root"]["dag"]["tasks"].items():
        assert len(json.dumps(task)) < 60_000, name


def test_the_taxonomy_is_not_in_the_package(package: Path, tmp_path: Path) -> None:
    """20,000 categories give the package that the demo's 61 give: it needs no room and is not compiled again."""
    from modules.taxonomy import Taxonomy
    from pipeline.kubeflow.compiler import compile_workflow

    loaded = load_demo(tmp_path / "feed", f"runners.kubeflow={json.dumps(SETTINGS)}")
    assert loaded.taxonomy_file is not None
    paths = [(f"Department {i % 20}", f"Group {i % 400}", f"Category {i}") for i in range(20_000)]
    Taxonomy.from_paths(paths).write(loaded.taxonomy_file)
    output = tmp_path / "pipeline.yaml"
    compile_workflow(loaded, output)
    feeds = str(package.parent / "feed"), str(tmp_path / "feed")
    assert output.read_text().replace(feeds[1], feeds[0]) == package.read_text()


def test_what_no_pod_could_be_started_with_is_refused(tmp_path: Path) -> None:
    """Each category's own threshold is part of the workflow file, and so of the package."""
    from pipeline.kubeflow.compiler import compile_workflow

    bounds = {f"Department > Group > Category {i}": 0.5 for i in range(2_000)}
    override = f"evaluation.thresholds={json.dumps({'exclusive': {'category_f1': bounds}})}"
    with pytest.raises(InputError, match=r"(?s)bytes.*at most 131,071 bytes, the longest argument") as refused:
        compile_workflow(load_demo(tmp_path / "feed", override), tmp_path / "pipeline.yaml")
    assert {problem.key for problem in refused.value.problems} >= {"the pipeline's root (--component)"}
    assert not (tmp_path / "pipeline.yaml").exists()


def test_vertex(tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    output = tmp_path / "job.json"
    with pytest.raises(InputError, match="pipeline_root = 'null': a gs:// address"):
        compile_workflow(load_demo(tmp_path / "feed"), output, target="vertex")
    root = "runners.kubeflow.pipeline_root=gs://bucket/root"
    compile_workflow(load_demo(tmp_path / "feed", root), output, target="vertex")
    job = json.loads(output.read_text())
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/root"
    assert job["runtimeConfig"]["parameterValues"]["training_epochs"] == 3
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    # Its own resolvers; for the rest the entrypoint.
    assert sum("resolver" in entry for entry in executors.values()) == 2
    commands = [entry["container"]["command"] for entry in executors.values() if "container" in entry]
    assert len(commands) > 10 and all(command[:3] == COMMAND for command in commands)


def test_parameters_that_are_none(tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import run_parameters
    from pipeline.pipeline import PARTS

    loaded = load_demo(tmp_path / "feed")
    for key in ("training", "feed.folder_env", "training.nonsense", "labels.files"):
        with pytest.raises(InputError, match="runners.kubeflow.parameters"):
            run_parameters(loaded, KubeflowSettings(parameters=(key,)), PARTS)
    with pytest.raises(InputError, match="settings of: committee"):
        run_parameters(loaded, KubeflowSettings(parameters=("feed.max_record_bytes",)), PARTS)
    found = run_parameters(loaded, KubeflowSettings(parameters=("seed",)), PARTS)
    assert set(found[-1].targets) == {"Tuner", "Trainer", "ActiveSampler", "ScannIndex"}


def test_files_that_features_start_from_are_in_the_feeds_folder(tmp_path: Path) -> None:
    from modules.settings.workflow import Workflow
    from pipeline.inputs import training_inputs
    from pipeline.kubeflow.compiler import compile_workflow, run_parameters
    from pipeline.kubeflow.overrides import Override, apply_overrides
    from pipeline.pipeline import PARTS

    title = "{kind: text, vocabulary: 300, embedding: pretrained, pretrained: words/vectors.txt}"
    settings = KubeflowSettings(feed="/feeds/shop")
    given = f"features={{title: {title}}}", "runners.kubeflow.feed=/feeds/shop"
    loaded = load_demo(tmp_path / "feed", *given)
    (tmp_path / "feed" / "words").mkdir()
    (tmp_path / "feed" / "words" / "vectors.txt").write_text("boot 1 2\n")
    (feed, *_) = run_parameters(loaded, settings, PARTS)
    trained, _ = training_inputs(loaded)
    for component in ("Tuner", "Trainer"):
        custom = json.dumps({"workflow": trained.model_dump_json(include=PARTS[component])})
        properties = {"custom_config": custom, "run_feed": "/feeds/monday"}
        apply_overrides(properties, [Override("feed", *place) for place in feed.targets[component]])
        seen = Workflow.from_part(json.loads(properties["custom_config"])["workflow"])
        assert seen.features["title"].pretrained == "/feeds/monday/words/vectors.txt"  # type: ignore[union-attr]
    # Beside the workflow's file, where no pod finds it.
    workflow = tmp_path / "w.yaml"
    workflow.write_text("name: shop\nfeed: {demo: {products: 300}}\nrules: {file: beside.yaml}\n")
    (tmp_path / "beside.yaml").write_text("rules: []\n")
    beside = load_workflow(workflow, ["runners.kubeflow.feed=/feeds/shop"], feed_folder=tmp_path / "feed")
    with pytest.raises(InputError, match=r"rules\.file = 'beside\.yaml': a file in the feed's folder"):
        compile_workflow(beside, tmp_path / "pipeline.yaml")


def test_encoders_are_where_pods_see_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modules.feeds.plan import ExampleSettings
    from modules.settings.workflow import Workflow
    from pipeline.inputs import example_inputs, training_inputs
    from pipeline.kubeflow.compiler import compile_workflow, run_parameters
    from pipeline.kubeflow.overrides import Override, apply_overrides
    from pipeline.pipeline import PARTS
    from tests.encoders import tiny_encoder

    def shop(encoder: str, extra: str = "") -> LoadedWorkflow:
        meaning = f"{{kind: encoded, encoder: {encoder}, columns: [title]{extra}}}"
        given = f"features={{meaning: {meaning}}}", "runners.kubeflow.feed=/feeds/shop"
        return load_demo(tmp_path / "feed", *given)

    inside = shop("models/tiny")
    tiny_encoder(tmp_path / "feed" / "models" / "tiny")
    (feed, *_) = run_parameters(inside, KubeflowSettings(feed="/feeds/shop"), PARTS)
    located, _ = training_inputs(inside)
    settings, _ = example_inputs(inside, located)
    assert ExampleSettings.model_validate_json(settings).encodings["meaning"].encoder == "models/tiny"
    for component in ("Tuner", "Trainer"):
        custom = json.dumps({"workflow": located.model_dump_json(include=PARTS[component])})
        properties = {"custom_config": custom, "run_feed": "/feeds/monday"}
        apply_overrides(properties, [Override("feed", *place) for place in feed.targets[component]])
        seen = Workflow.from_part(json.loads(properties["custom_config"])["workflow"])
        assert seen.features["meaning"].encoder == "/feeds/monday/models/tiny"  # type: ignore[union-attr]
    # In the user's own store, where no pod finds it.
    monkeypatch.setenv("SHELFMARK_ENCODERS", str(tmp_path / "store"))
    tiny_encoder(tmp_path / "store" / "mine")
    with pytest.raises(InputError, match=r"features\.meaning\.encoder = 'mine': a file in the feed's folder"):
        compile_workflow(shop("mine"), tmp_path / "pipeline.yaml")
    with pytest.raises(InputError, match="give the feature its width"):
        compile_workflow(shop("/models/there"), tmp_path / "pipeline.yaml")
    compile_workflow(shop("/models/there", ", width: 384"), tmp_path / "pipeline.yaml")
    assert "/models/there" in (tmp_path / "pipeline.yaml").read_text()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build(tmp_path_factory.mktemp("backend"))
    except NotHere as error:
        pytest.skip(str(error))


@pytest.mark.kfp_backend
def test_kfps_own_code_compiles_it(backend: Path, package: Path, documents: list[dict[str, Any]]) -> None:
    done = judge(backend, package, '{"training_epochs": 5}', "minio://mlpipeline/v2/artifacts")
    assert done.returncode == 0, done.stderr
    workflow = json.loads(done.stdout)
    templates = workflow["spec"]["templates"]
    names = {task["name"] for template in templates for task in template.get("dag", {}).get("tasks", [])}
    assert names >= set(documents[0]["root"]["dag"]["tasks"]) | {"LastBlessedModel-importer", "Trainer-driver"}
    parameters = {p["name"]: p.get("value", "") for p in workflow["spec"]["arguments"]["parameters"]}
    kubernetes = json.loads(next(v for n, v in parameters.items() if n.startswith("kubernetes-") and "Trainer" in n))
    assert kubernetes["emptyDirMounts"][0]["mountPath"] == "/dev/shm"
    assert kubernetes["nodeAffinity"][0]["weight"] == 5
    # The emulated Argo's reading of the policy: whole factors, texts of seconds, no policy of its own.
    strategies = [template["retryStrategy"] for template in templates if template.get("retryStrategy")]
    assert strategies and not any("retryPolicy" in strategy for strategy in strategies)
    handed = {
        parameter["name"]: parameter["value"]
        for template in templates
        for task in template.get("dag", {}).get("tasks", [])
        if task["name"] == "Trainer"
        for parameter in task["arguments"]["parameters"]
        if parameter["name"].startswith("retry-")
    }
    expected = Strategy.of(documents[0]["root"]["dag"]["tasks"]["Trainer"], "")
    assert expected is not None
    assert handed == {
        "retry-max-count": expected.limit, "retry-backoff-duration": expected.duration,
        "retry-backoff-factor": expected.factor, "retry-backoff-max-duration": expected.max_duration,
    }  # fmt: skip


@pytest.mark.kfp_backend
def test_kfps_own_code_refuses(backend: Path, package: Path, stock: Callable[..., str], tmp_path: Path) -> None:
    """The emulator's errors are the server's."""
    from tfx.orchestration.data_types import RuntimeParameter

    from tests.kubeflow import toy

    def error(text: str, parameters: str = "{}") -> str:
        (tmp_path / "package.yaml").write_text(text)
        done = judge(backend, tmp_path / "package.yaml", parameters, "minio://mlpipeline")
        assert done.returncode == 1
        return done.stderr

    parameter = RuntimeParameter("text", ptype=str, default="by default")
    assert "neither default value" in error(stock(toy.pipeline(toy.Make(text=parameter))))
    assert "only supports schema version 2.1.0" in error(stock(toy.pipeline(toy.Make()), schema_2_1=False))
    assert "not required by pipeline: nonsense" in error(package.read_text(), '{"nonsense": 1}')


@pytest.mark.parametrize(
    ("target", "kind", "expected"),
    [
        ("kubeflow", "NVIDIA_TESLA_T4", "such as nvidia.com/gpu"),
        ("vertex", "nvidia.com/gpu", "such as NVIDIA_TESLA_T4"),
    ],
)
def test_gpus_have_the_targets_own_names(tmp_path: Path, target: Target, kind: str, expected: str) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    settings = {"pipeline_root": "gs://bucket/root", "components": {"Trainer": {"gpu": {"type": kind}}}}
    loaded = load_demo(tmp_path / "feed", f"runners.kubeflow={json.dumps(settings)}")
    with pytest.raises(InputError, match=rf"components\.Trainer\.gpu\.type = '{kind}': .*{expected}"):
        compile_workflow(loaded, tmp_path / "package", target=target)


def test_beam_stays_in_the_pod(tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    elsewhere = '{"runner": "portable", "portable": {"job_endpoint": "flink:8099"}}'
    loaded = load_demo(tmp_path / "feed", f'beam={{"components": {{"Transform": {elsewhere}}}}}')
    with pytest.raises(InputError, match=r"beam\.runner.*portable.*in_process or multi_process \(Transform\)"):
        compile_workflow(loaded, tmp_path / "pipeline.yaml")
