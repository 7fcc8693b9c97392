"""The image, built from the Dockerfile as it is: what it holds, as whom it runs, the demo's components inside it."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.kubeflow.entrypoint import COMMAND
from pipeline.workflow_file import REPOSITORY
from tests.kubeflow import image_contents
from tests.kubeflow.demo import load_demo
from tests.kubeflow.image import MOUNTED, Builder, Unavailable

pytestmark = [pytest.mark.slow, pytest.mark.image_build]

USER = 1000
WRITABLE = {"minio", "s3", "gcs", "tmp/kfp", "tmp/kfp_outputs"}
LIMIT = {"cpu": 3_850_000_000, "cuda": 8_500_000_000}
"""Bytes that the layers add to the base: what was measured, and 5% for newer versions of what is in them."""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    folder = tmp_path_factory.mktemp("builder")
    try:
        made = Builder(folder)
    except Unavailable as why:
        pytest.skip(str(why))
    yield made
    made.close()


@pytest.fixture(scope="module")
def images(builder: Builder) -> dict[str, str]:
    """Variant to image. The second one takes from the first one's layers what both have."""
    return {variant: builder.build(variant) for variant in ("cpu", "cuda")}


@pytest.fixture(params=["cpu", "cuda"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_it_holds(builder: Builder, images: dict[str, str], variant: str) -> None:
    slim = next(name for name in builder.names if "-slim" in name)
    with builder.container(slim) as (_, base), builder.container(images[variant]) as (_, root):
        assert image_contents.compilers(root) == set()
        assert image_contents.setuid(root) == image_contents.setuid(base)
        assert image_contents.writable(root, USER) - image_contents.writable(base, USER) == WRITABLE
        assert image_contents.secrets(root, "opt") | image_contents.secrets(root, "etc") == {}
        # Nothing of this machine's way to the package index.
        assert [(root / name).read_text() for name in MOUNTED] == ["", ""]
        app = root / "opt/shelfmark/app"
        context = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[0] == "!"}
        assert {path.name for path in app.iterdir()} - {"shelfmark.egg-info"} <= context
        installed = {
            _canonical(found.name): found.version
            for found in importlib.metadata.distributions(path=[str(app.parent / "lib/python3.11/site-packages")])
        }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert installed.pop("shelfmark") == project["tool"]["setuptools_scm"]["fallback_version"]
    locks = ["requirements.lock", *(["docker/cuda.lock"] if variant == "cuda" else [])]
    pinned = {name: version for lock in locks for name, version in _pins((REPOSITORY / lock).read_text()).items()}
    assert installed.items() <= pinned.items()
    assert {"tensorflow", "tfx", "kfp"} <= set(installed)
    assert {"pytest", "hypothesis", "ruff", "mypy", "playwright"}.isdisjoint(installed)
    layers = builder.layers(images[variant])
    print(f"{variant}: layers of {', '.join(f'{size / 1e6:,.1f}' for size in layers)} MB")
    assert sum(layers[1:]) < LIMIT[variant]


def test_the_compiler_is_found_where_there_is_one(builder: Builder) -> None:
    with builder.container(next(name for name in builder.names if "-slim" not in name)) as (_, root):
        assert {Path(path).name for path in image_contents.compilers(root)} >= {"cc1plus", "x86_64-linux-gnu-ld.bfd"}


def test_starts_as_user_1000_who_can_write_where_kubeflow_does(
    builder: Builder, images: dict[str, str], variant: str
) -> None:
    config = builder.config(images[variant])
    assert config["User"] == str(USER) and config["Entrypoint"] == COMMAND
    assert {entry.partition("=")[0] for entry in config["Env"]} == {
        *("PATH", "PYTHONUNBUFFERED", "TF_CPP_MIN_LOG_LEVEL", "HOME"),
    }
    with builder.container(images[variant]) as (container, _):
        probe = (
            "import json, os, sys; from pathlib import Path\n"
            "folders = ['/minio/b/k', '/s3/b/k', '/gcs/b/k', '/tmp/kfp/outputs', '/tmp/kfp_outputs/x', '/tmp/x']\n"
            "for folder in folders: Path(folder).mkdir(parents=True)\n"
            "print(json.dumps([os.getuid(), os.getcwd(), sys.prefix, os.access('/opt/shelfmark/app', os.W_OK)]))"
        )
        found = json.loads(builder.run(container, "python", "-c", probe))
        assert found == [USER, config["WorkingDir"], "/opt/shelfmark", False]
        assert "execute" in builder.run(container, *config["Entrypoint"], "--help")
        assert "compile" in builder.run(container, "shelfmark", "--help")


def test_everything_imports_without_the_test_tools(builder: Builder, images: dict[str, str]) -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    probe = (
        "import importlib, sys; from pathlib import Path\n"
        "files = [path for package in sys.argv[1:] for path in sorted(Path(package).rglob('*.py'))]\n"
        "names = ['.'.join(path.with_suffix('').parts).removesuffix('.__init__') for path in files]\n"
        "names = [name for name in names if '__main__' not in name and '.migrations.' not in name]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names))"
    )
    with builder.container(images["cpu"]) as (container, _):
        output = builder.run(container, "python", "-c", probe, *(name.rstrip("*") for name in packages["include"]))
    assert int(output.splitlines()[-1]) > 100


def test_demo_to_trainer(
    builder: Builder, images: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The compiled command lines, in a container each, with the folders that Kubeflow's launcher uses."""
    from pipeline.kubeflow.compiler import compile_workflow
    from tests.kubeflow.emulator.cluster import Cluster
    from tests.kubeflow.emulator.pods import ImagePods

    feed, output = tmp_path / "feed", tmp_path / "pipeline.yaml"
    load_demo(feed)
    with builder.container(images["cpu"]) as (container, _):
        pods = ImagePods(builder.run_command, container, {"/feeds/demo": feed}, USER)
        cluster = Cluster(tmp_path / "cluster", pods)
        request.addfinalizer(cluster.close)
        settings = (
            "name=demo-image",
            f"runners.kubeflow.metadata={cluster.address}",
            "runners.kubeflow.feed=/feeds/demo",
        )
        compile_workflow(load_demo(feed, *settings), output)
        run = cluster.run(output.read_text(), {"training_epochs": 2}, until="Trainer")
    done = {name: step.seconds for name, step in run.steps.items() if step.state == "COMPLETE"}
    assert {"ProductExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "Transform", "Trainer"} <= set(
        done
    )
    for name, seconds in done.items():
        print(f"{name:50} {seconds:6.1f} s")
    products = cluster.artifact(run, "ProductExampleGen", "examples")["metadata"]
    assert sum(count for name, count in products.items() if name.startswith("products/")) > 250
    (facts,) = cluster.store.path(cluster.artifact(run, "Trainer", "model")["uri"]).rglob("shelfmark.json")
    assert json.loads(facts.read_text())["training"]["epochs"] == 2


def test_gpu_libraries_lie_where_tensorflow_looks(builder: Builder, images: dict[str, str]) -> None:
    """Every library loads, but for the driver that the node brings; TensorFlow imports, and finds no GPU here."""
    probe = (
        "import ctypes, json, re, sys; from pathlib import Path\n"
        "import tensorflow as tf\n"
        "package = Path(tf.__file__).parent\n"
        "paths = {found.decode() for file in package.glob('libtensorflow_*.so.2') for found in\n"
        "         re.findall(rb'\\$ORIGIN/(?:\\.\\./)+(nvidia/\\w+/lib)', file.read_bytes())}\n"
        "missing = [path for path in paths if not list((package.parent / path).glob('*.so*'))]\n"
        "failed = {}\n"
        "for file in sorted((package.parent / 'nvidia').rglob('*.so*')):\n"
        "    try: ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)\n"
        "    except OSError as error: failed[file.name] = str(error)\n"
        "print(json.dumps([len(paths), missing, failed, tf.test.is_built_with_cuda(),\n"
        "                  len(tf.config.list_physical_devices('CPU'))]))"
    )
    with builder.container(images["cuda"]) as (container, _):
        paths, missing, failed, cuda, processors = json.loads(
            builder.run(container, "python", "-c", probe).splitlines()[-1]
        )
    # TensorFlow's extra and-cuda leaves NVSHMEM out, which is for GPUs of several machines.
    assert paths >= 8 and set(missing) <= {"nvidia/nvshmem/lib"}
    assert all("libcuda.so.1" in why for why in failed.values()), failed
    assert cuda and processors == 1


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(lock: str) -> dict[str, str]:
    return {_canonical(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)}
