"""TFX's cache, with files that are not as they were made, on a real store of ML Metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.checksums import Checksums, DamagedArtifact

pytestmark = pytest.mark.slow


class Cache:
    """A component that ran as often as asked, with one cache key."""

    def __init__(self, folder: Path):
        # TFX takes seconds to import.
        import pipeline.compiled  # noqa: F401  # isort: skip
        from tfx.orchestration import metadata
        from tfx.orchestration.portable.mlmd import context_lib

        from components.class_metrics.store import connection_config
        from pipeline.checked_launch import ArtifactChecks

        self.said: list[str] = []
        self.root, self.records = folder / "pipeline", folder / "checksums"
        self.checks = ArtifactChecks(Checksums(self.root, self.records), "the remedy", self.said.append)
        self.handle = metadata.Metadata(connection_config(str(folder / "metadata.sqlite")))
        self.handle.__enter__()
        self.context = context_lib.register_context_if_not_exists(self.handle, "execution_cache", "key")

    def made(self, number: int, *, recorded: bool = True) -> dict[str, list[Any]]:
        """An execution's output."""
        from ml_metadata.proto import metadata_store_pb2
        from tfx.orchestration.portable import execution_publish_utils
        from tfx.types import standard_artifacts

        kind = metadata_store_pb2.ExecutionType(name="Maker")
        execution = execution_publish_utils.register_execution(self.handle, kind, [self.context])
        artifact = standard_artifacts.Examples()
        artifact.uri = str(self.root / "Maker" / "made" / str(number))
        Path(artifact.uri).mkdir(parents=True)
        (Path(artifact.uri) / "file").write_bytes(b"made %d" % number)
        outputs = {"made": [artifact]}
        if recorded:
            self.checks.record(outputs)
        execution_publish_utils.publish_succeeded_execution(self.handle, execution.id, [self.context], outputs)
        return outputs

    def found(self) -> str | None:
        """Which execution the cache gives."""
        from tfx.orchestration.portable import cache_utils

        from pipeline.checked_launch import checked_cache

        with checked_cache(self.checks, "Maker"):
            outputs = cache_utils.get_cached_outputs(metadata_handle=self.handle, cache_context=self.context)
        return None if outputs is None else Path(outputs["made"][0].uri).name


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_the_newest_whole_one_is_taken_and_a_damaged_one_never_again(cache: Cache) -> None:
    cache.made(1)
    outputs = cache.made(2)
    assert cache.found() == "2" and cache.said == []
    file = Path(outputs["made"][0].uri) / "file"
    file.write_bytes(b"mode 2")
    assert cache.found() == "1"
    assert len(cache.said) == 1 and cache.said[0].startswith(str(file)) and "Maker makes it again" in cache.said[0]
    # What was withdrawn stays so, even if somebody puts the file right: other outputs may be of the new one by then.
    file.write_bytes(b"made 2")
    assert cache.found() == "1"
    with pytest.raises(DamagedArtifact, match="file: is missing; the remedy"):
        file.unlink()
        cache.checks.require(outputs)


def test_one_without_a_record_is_made_again_but_not_withdrawn(cache: Cache) -> None:
    outputs = cache.made(1, recorded=False)
    assert cache.found() is None and cache.found() is None
    assert cache.said == ["results of earlier runs have no recorded checksums and are made again"]
    # An input that this run does not make is taken as it is, and from then on compared.
    cache.checks.require(outputs)
    assert cache.found() == "1"
    (Path(outputs["made"][0].uri) / "file").write_bytes(b"")
    with pytest.raises(DamagedArtifact):
        cache.checks.require(outputs)
    assert cache.found() is None


def test_what_a_pusher_put_elsewhere_counts_with_its_artifact(cache: Cache, tmp_path: Path) -> None:
    from tfx.proto.orchestration import execution_result_pb2

    outputs = cache.made(1)
    pushed = tmp_path / "pushed" / "5"
    pushed.mkdir(parents=True)
    (pushed / "file").write_bytes(b"made 1")
    told = execution_result_pb2.ExecutorOutput()
    told.output_artifacts["made"].artifacts.add().custom_properties["pushed_destination"].string_value = str(pushed)
    cache.checks.record(outputs, told)
    outputs["made"][0].set_string_custom_property("pushed_destination", str(pushed))
    assert cache.checks.reusable(outputs) and not cache.checks.withdraw(cache.handle, outputs, "Maker")
    (pushed / "file").unlink()
    assert cache.checks.withdraw(cache.handle, outputs, "Maker")
    assert cache.said[-1].startswith(str(pushed / "file"))
