"""The Flink runner by the name that the workflow's options give; no job server is started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.runner import create_runner

from components import job_servers

NAME = "components.runners.FlinkRunner"


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
