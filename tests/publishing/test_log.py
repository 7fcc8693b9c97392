"""The publication log: what is noted is what was acknowledged, in every order of events."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from publishing.log import DeadLetter, PublicationLog, status_of

IDS = st.sampled_from([f"p{i}" for i in range(6)] + ["ü", "a'b"])
FEED = st.dictionaries(IDS, st.binary(min_size=1, max_size=2), max_size=9)


@given(st.lists(st.tuples(FEED, st.sets(IDS)), max_size=5))
def test_what_is_noted_is_what_was_acknowledged(rounds: list[tuple[dict[str, bytes], set[str]]]) -> None:
    """``rounds``: what the feed has, and for which ids the target answers."""
    published: dict[str, bytes] = {}
    for feed, answered in rounds:
        with PublicationLog(None, "shop") as log:
            log.acknowledge(list(published.items()), 1)
            assert log.digests([*feed, "p0"]) == {name: published[name] for name in {*feed, "p0"} & set(published)}
            log.see(feed)
            gone = sorted(set(published) - set(feed))
            assert log.gone() == len(gone)
            assert list(log.gone_ids()) == gone
            log.acknowledge([(name, digest) for name, digest in feed.items() if name in answered], 2)
            log.acknowledge([(name, None) for name in gone if name in answered], 2)
            published |= {name: digest for name, digest in feed.items() if name in answered}
            published = {name: d for name, d in published.items() if name in feed or name not in answered}
            assert log.digests([*published]) == published and log.status().products == len(published)


def test_ids_that_go_while_they_are_read_are_not_passed_over(tmp_path: Path) -> None:
    names = [f"p{i:05}" for i in range(2500)]
    with PublicationLog(tmp_path / "x.sqlite", "shop") as log:
        log.acknowledge([(name, b"d") for name in names], 1)
        read = []
        for name in log.gone_ids():
            read.append(name)
            log.acknowledge([(name, None)], 2) if len(read) % 2 else None
        assert read == names and log.gone() == 1250


def test_versions_grow_though_the_clock_goes_back(tmp_path: Path) -> None:
    with PublicationLog(tmp_path / "x.sqlite", "shop") as log:
        versions = [log.begin("run", lambda at=at: at) for at in (50.0, 40.0, 60.0)]
        assert versions == [50_000_000, 50_000_001, 60_000_000]
        assert log.status().ended is None
    # A log that was lost begins above what receivers know.
    with PublicationLog(tmp_path / "y.sqlite", "shop") as log:
        assert log.begin("run") > time.time() * 1e6 - 1e9


def test_only_the_last_publications_are_remembered(tmp_path: Path) -> None:
    with PublicationLog(tmp_path / "x.sqlite", "shop") as log:
        for at in range(150):
            log.begin("run", lambda at=at: float(at))
        (count,) = log._database.execute("select count(*) from publications").fetchone()
        assert count == 100 and log.status().version == 149_000_000


def test_refusals_end_with_an_acknowledgement_or_with_the_product(tmp_path: Path) -> None:
    with PublicationLog(tmp_path / "x.sqlite", "shop") as log:
        for name in ("kept", "taken", "gone", "still there"):
            log.bury(DeadLetter(name, 400, "no", b"{}"), 1)
        log.acknowledge([("still there", b"d")], 1)
        log.bury(DeadLetter("still there", 400, "will not remove it", b"{}"), 1)
        log.see(["kept", "taken"])
        log.acknowledge([("taken", b"d")], 2)
        log.end(log.begin("run"), 1, 0)
        assert [letter.id for letter in log.dead_letters()] == ["kept", "still there"]


def test_two_publications_at_once_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    with PublicationLog(file, "shop"):
        with pytest.raises(InputError, match="under way; wait for it"):
            PublicationLog(file, "shop")
        assert status_of(file).target == "shop"
    with PublicationLog(file, "shop"):
        pass


@pytest.mark.parametrize("damage", [b"no database at all", None])
def test_a_damaged_log_says_how_to_go_on(tmp_path: Path, damage: bytes | None) -> None:
    file = tmp_path / "x.sqlite"
    with PublicationLog(file, "shop") as log:
        log.acknowledge([(f"p{i}", b"d" * 16) for i in range(5000)], 1)
    data = file.read_bytes()
    file.write_bytes(damage or data[:5000] + b"\xff" * 9000 + data[14000:])
    for use in (lambda: PublicationLog(file, "shop"), lambda: status_of(file)):
        with pytest.raises(InputError, match="x.sqlite: the publication log is damaged; put it aside: mv "):
            use()


def test_a_folder_that_cannot_be_made_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the publication log cannot be made"):
        PublicationLog(tmp_path / "file" / "x.sqlite", "shop")
