"""Every file of a run is damaged in every way; nothing damaged may be used or published, and what is said must help.

The commands run in this process: TensorFlow is imported once, and a damage costs a copy of the run's folder.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shelfmark import cli

pytestmark = [pytest.mark.slow, pytest.mark.damage]
SETTINGS = {
    "feed.demo.products": "300",
    "training.epochs": "1",
    "sampling.size": "8",
    "evaluation.thresholds.exclusive.accuracy": "0.0",
    "evaluation.thresholds.exclusive.max_drop": "1.0",
    "evaluation.thresholds.rule_based.micro_f1": "0.0",
}
CLASS_NAME = re.compile(r"\b[A-Z]\w*(Error|Exception)\b|Traceback")


def halved(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    state = file.stat()
    file.write_bytes(content)
    # A disk that rots changes no time.
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def replaced(file: Path) -> None:
    file.write_bytes(b"something else altogether\n")


def deleted(file: Path) -> None:
    file.unlink()


def joined(file: Path) -> None:
    """Another file beside it, of its kind."""
    shutil.copyfile(file, file.with_name("zz-" + file.name))


def dangling(file: Path) -> None:
    """No right can be taken from a superuser, so the file is one that cannot be opened."""
    file.unlink()
    file.symlink_to(file.with_name("nowhere") / "nothing")


def unreadable(file: Path) -> None:
    file.chmod(0)


NEEDS_BYTES = {halved, flipped}
KINDS: list[Callable[[Path], None]] = [halved, emptied, flipped, replaced, deleted, joined, dangling]
if os.geteuid():
    KINDS.append(unreadable)


class Demo:
    """The demo in a folder; ``call`` gives exit code and what was said."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.runs, self.copy = folder / "runs", folder / "copy"
        settings = SETTINGS | {"feed.folder": str(folder / "catalogue")}
        self.given = ["--demo"] + [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]

    def call(self, *arguments: str) -> tuple[int, str]:
        from _pytest.capture import FDCapture, MultiCapture

        # Of this call alone: pytest takes the descriptors back between a fixture and its test.
        capture: Any = MultiCapture(in_=None, out=FDCapture(1), err=FDCapture(2))
        before, sys.argv = sys.argv, ["shelfmark", *arguments]
        capture.start_capturing()
        try:
            code = cli._run(cli.app, arguments, "shelfmark")
        finally:
            said = "".join(capture.readouterr())
            capture.stop_capturing()
            sys.argv = before
        assert not CLASS_NAME.search(said), said
        return code, said

    def run(self, *more: str, code: int = 0) -> str:
        found, said = self.call("run", *self.given, *more)
        assert found == code, said
        return said

    def restore(self, part: str = "") -> None:
        """The run's folder, or a part of it, as the first run left it; no label store."""
        shutil.rmtree(self.runs / "demo" / part)
        shutil.copytree(self.copy / part, self.runs / "demo" / part)
        for file in self.folder.glob("labels.sqlite*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()

    def artifacts(self) -> dict[tuple[str, str], Path]:
        """(component, output) to the folder of the only run."""
        folders = sorted((self.runs / "demo" / "pipeline").glob("*/*/*"))
        return {(one.parent.parent.name, one.parent.name): one for one in folders if one.parent.name != ".system"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    before = Path.cwd()
    patch = pytest.MonkeyPatch()
    patch.setenv("NO_COLOR", "1")
    patch.setenv("COLUMNS", "200")
    folder = tmp_path_factory.mktemp("shop")
    os.chdir(folder)
    try:
        found = Demo(folder)
        found.run()
        for part in ("images", "logs"):
            shutil.rmtree(found.runs / "demo" / part, ignore_errors=True)
        shutil.copytree(found.runs / "demo", found.copy)
        yield found
    finally:
        os.chdir(before)
        patch.undo()


def files_of(artifact: Path, kind: Callable[[Path], None]) -> list[Path]:
    """Its files, those without a byte only where the damage leaves them another."""
    found = sorted(one for one in artifact.rglob("*") if one.is_file())
    return [one for one in found if one.stat().st_size or kind not in NEEDS_BYTES | {emptied}]


def published(demo: Demo) -> dict[str, Any]:
    """Product to what is published of it."""
    import pyarrow.parquet as pq

    folders = (demo.runs / "demo" / "pipeline" / "PublishedPredictor" / "published_predictions").iterdir()
    newest = max(folders, key=lambda one: int(one.name))
    rows = [row for file in newest.glob("Split-*/*.parquet") for row in pq.read_table(file).to_pylist()]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: (row["exclusive/category"], round(row["exclusive/probability"], 3)) for row in rows}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def newest(folder: Path) -> Path:
    return max((one for one in folder.iterdir() if one.name.isdigit()), key=lambda one: int(one.name))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_run_makes_again_whatever_is_damaged(demo: Demo, kind: Callable[[Path], None]) -> None:
    """Of every artifact one file at once; the next kind takes the next file."""
    demo.restore()
    expected = published(demo)
    turn = KINDS.index(kind)
    hurt = []
    for artifact in demo.artifacts().values():
        files = files_of(artifact, kind)
        if files:
            hurt.append((artifact, files[turn % len(files)]))
            kind(hurt[-1][1])
    assert len(hurt) > 12
    said = demo.run()
    for artifact, file in hurt:
        # What stands on a part that is made again is made again without a look at what there was.
        if artifact.parent.parent.name in ("ImportSchemaGen", "ProductExampleGen"):
            assert str(artifact.relative_to(demo.folder)) in said, f"{file} was not noticed:\n{said}"
    assert "it is not used" in said, "the last blessed model is damaged as well"
    assert "unchanged" not in "".join(line for line in said.splitlines() if line.startswith(("Trainer", "Predictor")))
    found = published(demo)
    assert found.keys() == expected.keys()
    assert sum(found[name][0] == expected[name][0] for name in found) >= 0.98 * len(found)
    # What was made is whole: the next run uses all of it, and says of none that it is damaged.
    again = demo.run()
    assert "damaged" not in again and "makes it again" not in again
    assert published(demo) == found


def readers(demo: Demo) -> dict[tuple[str, str], list[str]]:
    """Artifact to a command that reads it."""
    setting = demo.given
    page = ["-o", str(demo.folder / "page.html")]
    return {
        ("Predictor", "predictions"): ["predictions", *setting, "--limit", "3"],
        ("PublishedPredictor", "published_predictions"): ["predictions", *setting, "--published", "--limit", "3"],
        ("StatisticsGen", "statistics"): ["statistics", *setting, *page],
        ("ExampleValidator", "anomalies"): ["statistics", *setting, *page],
        ("Evaluator", "evaluation"): ["evaluation", *setting, *page],
        ("ScannIndex", "similarity_index"): ["similar", "red boots", *setting],
        ("Trainer", "model"): ["similar", "red boots", *setting],
        ("ActiveSampler", "labelling_batch"): ["label", "import-batch", *setting, "--store", "labels.sqlite"],
        ("ActiveSampler", "label_review"): ["label", "import-review", *setting, "--store", "labels.sqlite"],
        ("ProductExampleGen", "examples"): ["label", "import-products", *setting, "--store", "labels.sqlite"],
    }


def test_every_command_refuses_every_damaged_file(demo: Demo) -> None:
    demo.restore()
    known, tried = readers(demo), 0
    for key, command in known.items():
        for kind in KINDS:
            for number in range(len(files_of(demo.artifacts()[key], kind))):
                artifact = demo.artifacts()[key]
                file = files_of(artifact, kind)[number]
                kind(file)
                code, said = demo.call(*command)
                tried += 1
                wanted = file.with_name("zz-" + file.name) if kind is joined else file
                assert code == 2, f"{command[0]} took {file} {kind.__name__}: {said}"
                assert str(wanted.relative_to(demo.folder)) in said, said
                assert "the same command will not help" in said and "shelfmark run --demo --set" in said, said
                demo.restore(str(Path("pipeline", *key)))
    print(f"{tried} damages, all refused")
    assert tried > 200


def test_a_part_of_a_run_refuses_its_damaged_inputs_and_names_what_helps(demo: Demo) -> None:
    consumers = {
        "ProductExampleGen": "Transform",
        "Transform": "Trainer",
        "Trainer": "Predictor",
        "Predictor": "ActiveSampler",
    }
    consumed = {"examples", "transform_graph", "model", "predictions"}
    demo.restore()
    places = [key for key in demo.artifacts() if key[0] in consumers and key[1] in consumed]
    for key in places:
        for turn, kind in enumerate(KINDS):
            demo.restore()
            files = files_of(demo.artifacts()[key], kind)
            file = files[turn % len(files)]
            kind(file)
            said = demo.run("--from", consumers[key[0]], code=1)
            wanted = file.with_name("zz-" + file.name) if kind is joined else file
            assert str(wanted.relative_to(demo.folder)) in said, said
            assert "without --from" in said
            assert "--from" not in said.splitlines()[-1] and said.splitlines()[-1].strip().startswith("shelfmark run")


def test_a_damaged_last_blessed_model_is_no_longer_compared_with(demo: Demo) -> None:
    demo.restore()
    flipped(demo.artifacts()["Trainer", "model"] / "Format-Serving" / "saved_model.pb")
    said = demo.run("--to", "Evaluator")
    assert "saved_model.pb" in said and "it is not used" in said
    assert "damaged" not in demo.run("--to", "Evaluator")


def test_a_damaged_pushed_version_is_pushed_again(demo: Demo) -> None:
    demo.restore()
    demo.run()  # ends with a run that takes everything from the cache
    for place in ("pushed", "pushed_indexes"):
        folder = demo.runs / "demo" / place
        before = newest(folder)
        expected = contents(before)
        halved(max((one for one in before.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size))
        said = demo.run()
        assert f"{place}/{before.name}" in said and "makes it again" in said
        assert newest(folder) != before and contents(newest(folder)) == expected


def test_what_is_published_shares_no_file_with_what_is_cached(demo: Demo) -> None:
    demo.restore()
    artifacts = {
        (one.stat().st_dev, one.stat().st_ino): one for one in (demo.runs / "demo").rglob("*") if one.is_file()
    }
    files = [one for one in (demo.runs / "demo").rglob("*") if one.is_file()]
    assert len(artifacts) == len(files) and not any(one.is_symlink() for one in (demo.runs / "demo").rglob("*"))
    before = published(demo)
    pushed = {place: contents(newest(demo.runs / "demo" / place)) for place in ("pushed", "pushed_indexes")}
    for component in ("Predictor", "Trainer", "ScannIndex", "Pusher"):
        for file in (demo.runs / "demo" / "pipeline" / component).rglob("*"):
            if file.is_file() and file.stat().st_size:
                with file.open("r+b") as opened:
                    opened.write(b"\0" * 8)
    assert published(demo) == before
    assert pushed == {place: contents(newest(demo.runs / "demo" / place)) for place in ("pushed", "pushed_indexes")}


def test_a_run_folder_without_records_is_made_again_once(demo: Demo) -> None:
    demo.restore()
    shutil.rmtree(demo.runs / "demo" / "checksums")
    said = demo.run("--from", "PublishedPredictor", "--to", "PublishedPredictor")
    assert said.count("taken as they are, and recorded now") == 1
    demo.restore()
    shutil.rmtree(demo.runs / "demo" / "checksums")
    said = demo.run("--to", "StatisticsGen")
    assert said.count("no recorded checksums and are made again") == 1
    assert re.search(r"^StatisticsGen +done", said, re.M)
    said = demo.run("--to", "StatisticsGen")
    assert "no recorded checksums" not in said and re.search(r"^StatisticsGen +unchanged", said, re.M)


def _other(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (a)")
    database.close()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _journal(path: Path) -> None:
    """A journal that some other database left there, beside a damaged database."""
    halved(path)
    path.with_name(path.name + "-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + os.urandom(4096))


DATABASE: list[Callable[[Path], None]] = [halved, replaced, _other, _folder, _journal]


@pytest.mark.parametrize("kind", [*DATABASE, emptied], ids=lambda kind: kind.__name__)
def test_a_damaged_database_of_ml_metadata(demo: Demo, kind: Callable[[Path], None]) -> None:
    demo.restore()
    path = demo.runs / "demo" / "metadata.sqlite"
    kind(path)
    commands = [command for command in readers(demo).values()] + [["metrics", *demo.given]]
    if kind is not emptied:
        commands.append(["run", *demo.given])
    for command in commands:
        code, said = demo.call(*command)
        assert code == 2 and "runs/demo/metadata.sqlite" in said and "the same command will not help" in said, said
    if kind is not emptied:
        (aside,) = re.findall(r"(mv .*) && shelfmark run", said)
        assert os.system(aside) == 0
    demo.run("--to", "StatisticsGen")
    assert not [one for one in commands if demo.call(*readers(demo)["StatisticsGen", "statistics"])[0]]


@pytest.mark.parametrize("kind", [halved, emptied, replaced, _other, _folder], ids=lambda kind: kind.__name__)
def test_a_damaged_label_store(demo: Demo, kind: Callable[[Path], None]) -> None:
    demo.restore()
    store = demo.folder / "labels.sqlite"
    import_batch = readers(demo)["ActiveSampler", "labelling_batch"]
    assert demo.call(*import_batch)[0] == 0
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    for end in ("-wal", "-shm"):
        store.with_name(store.name + end).unlink(missing_ok=True)
    kind(store)
    for command in (import_batch, ["label", "status", *demo.given, "--store", "labels.sqlite"]):
        code, said = demo.call(*command)
        assert code == 2 and "labels.sqlite" in said, said
    if kind not in (_other, _folder):
        (aside,) = re.findall(r"(mv labels.sqlite .*)", said)
        assert "the same command will not help" in said and os.system(aside) == 0
        assert demo.call(*import_batch)[0] == 0
