"""Checksums of artifacts: every change of a file is noticed, nothing else is, and lost records are none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.checksums import Checksums, folder_of
from pipeline.local import without_from


def made(folder: Path, files: dict[str, bytes]) -> tuple[Path, Path]:
    """(pipeline root, an artifact in it)."""
    artifact = folder / "pipeline" / "Maker" / "made" / "7"
    artifact.mkdir(parents=True)
    for name, content in files.items():
        (artifact / name).parent.mkdir(parents=True, exist_ok=True)
        (artifact / name).write_bytes(content)
    return folder / "pipeline", artifact


NAMES = st.lists(st.text("ab.é ", min_size=1, max_size=4).filter(lambda n: n.strip(". ")), min_size=1, unique=True)


@settings(max_examples=60, deadline=None)
@given(NAMES, st.binary(max_size=200), st.integers(0), st.integers(1, 255), st.data())
def test_any_other_byte_or_length_is_noticed(
    names: list[str], content: bytes, place: int, change: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        root, artifact = made(Path(folder), {f"x{name}": content for name in names})
        Checksums(root, Path(folder) / "records").record(artifact)
        # Another process: nothing is remembered.
        known = Checksums(root, Path(folder) / "records")
        assert known.recorded(artifact) and known.damage(artifact) is None
        file = artifact / f"x{data.draw(st.sampled_from(names))}"
        state = file.stat()
        if content and data.draw(st.booleans()):
            at = place % len(content)
            other = content[:at] + bytes([content[at] ^ change]) + content[at + 1 :]
        else:
            other = data.draw(st.binary(max_size=200).filter(lambda one: one != content))
        file.write_bytes(other)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        damage = Checksums(root, Path(folder) / "records").damage(artifact)
        assert damage is not None and damage.file == file


def test_missing_and_added_files(tmp_path: Path) -> None:
    root, artifact = made(tmp_path, {"a/b.bin": b"1", "empty": b""})
    known = Checksums(root, tmp_path / "records")
    known.record(artifact)
    (artifact / "a" / ".nfs001").write_bytes(b"of a file system")
    assert known.damage(artifact) is None
    (artifact / "a" / "c.bin").write_bytes(b"")
    assert str(known.damage(artifact)).startswith(f"{artifact / 'a' / 'c.bin'}: was not there")
    (artifact / "a" / "c.bin").unlink()
    (artifact / "empty").unlink()
    assert str(known.damage(artifact)) == f"{artifact / 'empty'}: is missing"
    (artifact / "empty").mkdir()
    assert str(known.damage(artifact)) == f"{artifact / 'empty'}: is missing"
    (artifact / "empty").rmdir()
    (artifact / "empty").symlink_to(tmp_path / "nowhere")
    assert "cannot be read" in str(known.damage(artifact))
    shutil.rmtree(artifact)
    assert str(known.damage(artifact)) == f"{artifact}: is gone"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"format": 2, "files": {}}', b"\xff", b'{"format": 1}']
)
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    root, artifact = made(tmp_path, {"a": b"1"})
    known = Checksums(root, tmp_path / "records")
    known.record(artifact)
    (record,) = (tmp_path / "records").rglob("*.json")
    record.write_bytes(content)
    assert not known.recorded(artifact) and known.damage(artifact) is None
    known.record(artifact)
    assert known.recorded(artifact)


def test_what_lies_outside_is_only_compared_as_a_pushed_copy(tmp_path: Path) -> None:
    root, artifact = made(tmp_path, {"a": b"1"})
    outside = tmp_path / "pushed" / "1"
    shutil.copytree(artifact, outside)
    known = Checksums(root, tmp_path / "records")
    known.record(outside)
    assert not (tmp_path / "records").exists()
    known.record(artifact)
    known.record(outside, copy_of=artifact)
    (outside / "a").write_bytes(b"2")
    assert known.damage(outside) is None and known.damage(artifact) is None
    assert known.damage(outside, copy_of=artifact).file == outside / "a"  # type: ignore[union-attr]
    known.forget(artifact)
    assert not known.recorded(artifact) and not known.recorded(outside, copy_of=artifact)


def test_folders_of_uris() -> None:
    assert folder_of("file:///a/b%20c") == folder_of("/a/b c") == Path("/a/b c")


def test_the_command_without_from() -> None:
    given = ["run", "w.yaml", "--from", "Trainer", "--set", "a=b", "--from=Tuner", "--to", "Pusher"]
    assert without_from(given) == ["run", "w.yaml", "--set", "a=b", "--to", "Pusher"]
