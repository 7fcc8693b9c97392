"""What `similar serve` says of a pushed version of which a file is damaged, missing or strange."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.similarity.sources import FolderSource
from modules.errors import InputError
from modules.similarity.folder import files_of
from modules.similarity.version import VERSION_FILE, version_text
from tests.api.shops import write

METHODS = ("embedding", "embedding_image")


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def link_to_nothing(file: Path) -> None:
    file.unlink()
    file.symlink_to("nothing")


WAYS: dict[str, Callable[[Path], None]] = {
    "half": half,
    "empty": lambda file: file.write_bytes(b""),
    "bit": bit,
    "gone": Path.unlink,
    "link": link_to_nothing,
}


def pushed(folder: Path) -> Path:
    """A version as IndexPusher leaves it (tests/components/test_index_pusher.py); its model is never loaded here."""
    write(folder, 60, methods=METHODS)
    (folder / "model" / "variables").mkdir(parents=True)
    (folder / "model" / "saved_model.pb").write_bytes(b"graph")
    (folder / "model" / "variables" / "variables.index").write_bytes(b"numbers")
    (folder / VERSION_FILE).write_text(version_text(files_of(folder)))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pushed(tmp_path_factory.mktemp("shop") / "1")


def test_a_whole_version_opens(whole: Path) -> None:
    loaded = FolderSource(whole.parent)(None)
    assert loaded is not None and loaded.catalogue.methods == ("joint", "image") and loaded.embedder is not None


@pytest.mark.parametrize("way", WAYS)
def test_every_file_in_every_way(whole: Path, tmp_path: Path, way: str) -> None:
    names = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert {str(name) for name in names} > {"taxonomy.json", "image/manifest.json", "model/saved_model.pb"}
    for name in names:
        if str(name) == VERSION_FILE and way in ("gone", "link"):
            # Without its list, a version is one of an older program.
            continue
        folder = tmp_path / name.as_posix().replace("/", "_")
        shutil.copytree(whole, folder / "1")
        WAYS[way](folder / "1" / name)
        with pytest.raises(InputError) as refused:
            FolderSource(folder)(None)
        said = str(refused.value)
        # A list with another checksum in it tells only that one of the two is damaged.
        assert (
            str(VERSION_FILE if str(name) == VERSION_FILE else folder / "1" / name) in said
            and "run the workflow again" in said
        ), said


def test_a_whole_method_that_is_gone(whole: Path, tmp_path: Path) -> None:
    """Its manifest gone with it, nothing else would tell."""
    shutil.copytree(whole, tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "image")
    with pytest.raises(InputError, match=r"image/manifest.json: .*missing"):
        FolderSource(tmp_path)(None)


def test_a_file_that_was_not_pushed(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "1")
    (tmp_path / "1" / "model" / "assets.txt").write_text("strange")
    with pytest.raises(InputError, match="model/assets.txt"):
        FolderSource(tmp_path)(None)
    # File systems and object stores leave hidden ones.
    (tmp_path / "1" / "model" / "assets.txt").rename(tmp_path / "1" / "model" / ".nfs01")
    assert FolderSource(tmp_path)(None) is not None


def test_a_version_without_any_manifest_is_not_passed_over(whole: Path, tmp_path: Path) -> None:
    """An older one would be served as if nothing had been pushed since."""
    for number in ("1", "2"):
        shutil.copytree(whole, tmp_path / number)
    for manifest in (tmp_path / "2").glob("*/manifest.json"):
        manifest.unlink()
    with pytest.raises(InputError, match="manifest.json"):
        FolderSource(tmp_path)(None)


def test_an_older_programs_version_opens(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "1")
    (tmp_path / "1" / VERSION_FILE).unlink()
    assert FolderSource(tmp_path)(None) is not None


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"format": "shelfmark index version", "files": {"a": 1}}', "[" * 100_000]
)
def test_a_list_that_is_none(whole: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(whole, tmp_path / "1")
    (tmp_path / "1" / VERSION_FILE).write_text(text)
    with pytest.raises(InputError, match="list of a version's files"):
        FolderSource(tmp_path)(None)


@pytest.mark.slow
def test_the_command(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "1")
    half(tmp_path / "1" / "image" / "vectors.npy")
    command = [sys.executable, "-m", "shelfmark", "similar", "serve", "--index", str(tmp_path), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2 and "image/vectors.npy" in ended.stderr, ended.stderr
    assert not re.search(r"Traceback|Error\b", ended.stderr)
