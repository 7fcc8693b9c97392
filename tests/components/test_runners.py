"""The runners by the names that the workflow's options give; no job server is started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.runner import create_runner

from components import job_servers

NAME = "components.runners.FlinkRunner"
PROCESSES = "components.runners.FnApiRunner"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    job_servers.stop()


def test_pipelines_of_a_run_share_a_job_server() -> None:
    def server(jar: str, master: str) -> object:
        runner = create_runner(NAME)  # anew for each pipeline, as Beam does
        assert isinstance(runner, flink_runner.FlinkRunner)
        options = [f"--runner={NAME}", f"--flink_job_server_jar={jar}", f"--flink_master={master}"]
        return runner.default_job_server(PipelineOptions(options))

    first = server("/a.jar", "one:1")
    assert server("/a.jar", "one:1") is first
    others = [server("/b.jar", "one:1"), server("/a.jar", "two:1")]
    assert len({id(one) for one in (first, *others)}) == 3
    job_servers.stop()
    assert server("/a.jar", "one:1") is not first


@pytest.mark.slow
def test_worker_processes_get_the_pipeline_s_options(tmp_path: Path) -> None:
    """What a plugin puts in place is there before a worker unpickles code that imports it."""
    (tmp_path / "plugin_of_a_test.py").write_text(
        "import sys, types\nsys.modules['only_by_plugin'] = types.SimpleNamespace(answer=42)\n"
    )
    (tmp_path / "code_of_a_test.py").write_text(
        "import only_by_plugin\ndef shout(x): return x * only_by_plugin.answer\n"
    )
    program = (
        "import plugin_of_a_test, code_of_a_test\n"
        "import os, apache_beam as beam\n"
        "from apache_beam.options.pipeline_options import PipelineOptions\n"
        "from apache_beam.testing.util import assert_that, equal_to\n"
        f"options = PipelineOptions(['--runner={PROCESSES}', '--direct_running_mode=multi_processing', "
        "'--direct_num_workers=2', '--beam_plugins=plugin_of_a_test'])\n"
        "with beam.Pipeline(options=options) as pipeline:\n"
        "    numbers = pipeline | beam.Create([1, 2]) | beam.Reshuffle() | beam.Map(code_of_a_test.shout)\n"
        "    assert_that(numbers, equal_to([42, 84]))\n"
    )
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
