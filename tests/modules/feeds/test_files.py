"""Finding files, their formats, their fingerprint, and dividing them among workers."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.feeds.files import find_files, fingerprint, format_of, parts
from modules.settings.feed import FeedSettings


def test_each_file_once_in_order(folder: Any) -> None:
    for name in ("b.jsonl", "a.csv.gz", "labels.jsonl", "sub/c.parquet", "notes.md"):
        folder.write(name, b"x")
    base = str(folder.path)
    found = find_files(FeedSettings(files=("*.jsonl", "**/*", "b.*")), base, exclude=[f"{base}/./labels.jsonl"])
    assert found == [f"{base}/{name}" for name in ("a.csv.gz", "b.jsonl", "notes.md", "sub/c.parquet")]
    assert find_files(FeedSettings(), base) == [f"{base}/{n}" for n in ("a.csv.gz", "b.jsonl", "labels.jsonl")]


def test_a_pattern_without_a_match(folder: Any) -> None:
    folder.write("a.jsonl", b"x")
    with pytest.raises(InputError, match=r"b\*: feed.files = 'b\*': no file matches"):
        find_files(FeedSettings(files=("a*", "b*")), str(folder.path))
    with pytest.raises(InputError):
        find_files(FeedSettings(), str(folder.path / "empty"))


@pytest.mark.parametrize("how", ["up", "absolute", "link", "link to a folder", "chain of links", "deep"])
def test_files_outside_of_the_folder_are_read_only_if_that_is_allowed(tmp_path: Path, how: str) -> None:
    secret, inside = tmp_path / "secret", tmp_path / "feed"
    secret.mkdir()
    inside.mkdir()
    (secret / "a.jsonl").write_text("{}")
    (inside / "own.jsonl").write_text("{}")
    pattern = "*.jsonl"
    if how == "up":
        pattern = "../secret/*.jsonl"
    elif how == "deep":
        pattern = "./../feed/../secret/*"
    elif how == "absolute":
        pattern = f"{secret}/*"
    elif how == "link":
        (inside / "a.jsonl").symlink_to("../secret/a.jsonl")
    elif how == "chain of links":
        (inside / "b").symlink_to(inside / "c")
        (inside / "c").symlink_to(secret / "a.jsonl")
        (inside / "a.jsonl").symlink_to("b")
    else:
        (inside / "sub").symlink_to(secret)
        pattern = "**/*.jsonl"
    with pytest.raises(InputError, match=r"feed\.outside: true") as refused:
        find_files(FeedSettings(files=(pattern,)), str(inside))
    assert len(refused.value.problems) == 1
    allowed = find_files(FeedSettings(files=(pattern,), outside=True), str(inside))
    assert any(Path(path).resolve() == secret / "a.jsonl" for path in allowed)


def test_links_and_dots_that_stay_in_the_folder_are_no_matter(tmp_path: Path) -> None:
    # As a ConfigMap's files are mounted: names that lead into a folder beside them. The feed's folder is a link itself.
    real = tmp_path / "real"
    (real / "..data").mkdir(parents=True)
    (real / "..data" / "a.jsonl").write_text("{}")
    (real / "a.jsonl").symlink_to("..data/a.jsonl")
    (tmp_path / "feed").symlink_to(real)
    base = str(tmp_path / "feed")
    assert find_files(FeedSettings(files=("../feed/a.jsonl",)), base) == [f"{base}/../feed/a.jsonl"]
    assert find_files(FeedSettings(), base) == [f"{base}/a.jsonl"]
    # A home folder is nobody's feed: the name is taken as it stands.
    with pytest.raises(InputError, match="no file matches"):
        find_files(FeedSettings(files=("~/*",)), base)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", "jsonl"), ("A.JSONL.GZ", "jsonl"), ("a.ndjson", "jsonl"), ("x.csv.gz", "csv"), ("x.tsv", "csv")]
    + [("x.parquet", "parquet"), ("x.parquet.gz", "parquet")],
)
def test_formats(name: str, kind: str) -> None:
    assert format_of(name, FeedSettings()) == kind
    assert format_of(name, FeedSettings(format="csv")) == "csv"


def test_an_unknown_format() -> None:
    with pytest.raises(InputError, match=r"a\.doc: a name that ends in one of: \.jsonl"):
        format_of("a.doc", FeedSettings())


def test_the_fingerprint_sees_every_change_and_no_move(folder: Any, tmp_path: Path) -> None:
    paths = [folder.write(name, name.encode()) for name in ("in/a", "in/b", "in/c")]
    base = str(tmp_path / "in")
    before = fingerprint(paths, base)
    assert fingerprint([*reversed(paths), paths[0]], base) == before
    shutil.copytree(base, tmp_path / "copy")
    assert fingerprint([p.replace("/in/", "/copy/") for p in paths], str(tmp_path / "copy")) == before
    seen = {before, fingerprint(paths[:2], base)}
    Path(paths[0]).write_bytes(b"in/A")
    seen.add(fingerprint(paths, base))
    # Contents that change places are a change.
    Path(paths[0]).write_bytes(b"in/b")
    Path(paths[1]).write_bytes(b"in/a")
    seen.add(fingerprint(paths, base))
    shutil.move(paths[2], tmp_path / "in" / "d")
    seen.add(fingerprint([*paths[:2], str(tmp_path / "in" / "d")], base))
    assert len(seen) == 5
    with pytest.raises(InputError, match="No such file"):
        fingerprint(paths, base)


@pytest.mark.parametrize(("files", "workers"), [(1, 1), (1, 4), (3, 2), (2, 5), (10, 3), (5, 5)])
def test_work_is_divided(folder: Any, files: int, workers: int) -> None:
    paths = [folder.write(f"{i}.csv", b"x" * (i + 1) * 1000) for i in range(files)]
    tasks = parts(paths, workers)
    assert tasks == parts(paths, workers)
    assert len(tasks) <= workers and all(tasks)
    pieces = Counter(piece for task in tasks for piece in task)
    assert set(pieces.values()) == {1}
    for path in paths:
        mine = sorted(piece[1:] for piece in pieces if piece[0] == path)
        assert mine == [(part, mine[0][1]) for part in range(mine[0][1])]
    assert len(tasks) == min(workers, len(pieces))
    assert parts([], 3) == []
