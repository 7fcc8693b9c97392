"""Many texts: order, cache, batches, and where encoders lie."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.encoders import passing
from modules.encoders.cache import FILE, VectorCache
from modules.encoders.passing import encode_texts
from modules.encoders.places import encoder_folder
from modules.encoders.text_encoder import TextEncoder
from modules.errors import InputError
from tests.encoders import WORDS, tiny_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny"))


def sentences(count: int) -> list[str]:
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(WORDS, draw.integers(0, 60))) for _ in range(count)]


def test_texts_have_their_own_vectors_in_their_order(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "CHUNK", 50)
    texts = [*sentences(120), "", "red shoes", "red shoes", "\ud800 half"]
    reports: list[tuple[int, int]] = []
    vectors = encode_texts(folder, texts, cache=str(tmp_path / "cache"), report=lambda *pair: reports.append(pair))
    clean = [text.encode("utf-8", "replace") for text in texts]
    wanted = TextEncoder.load(folder)(tf.constant(clean)).numpy()
    # Kept as float16.
    np.testing.assert_allclose(vectors, wanted, atol=0.001)
    distinct = len(set(texts))
    assert reports[-1] == (distinct, distinct) and reports == sorted(reports)
    assert encode_texts(folder, [], cache=None).shape == (0, 16)
    # The second time nothing is embedded, and the numbers are the same.
    monkeypatch.setattr(passing, "_loaded", None)
    assert (encode_texts(folder, texts[::-1], cache=str(tmp_path / "cache"))[::-1] == vectors).all()


@given(st.lists(st.integers(0, 300), max_size=200))
def test_batches_hold_each_text_once_and_are_bounded(lengths: list[int]) -> None:
    parts = passing.batches(np.array(lengths, np.int64))
    assert sorted(place for part in parts for place in part) == list(range(len(lengths)))
    for part in parts:
        longest = max(1, *(lengths[place] for place in part))
        padded = -(-longest // passing.PAD_TO) * passing.PAD_TO
        assert len(part) == 1 or len(part) * padded <= passing.BATCH_PIECES


@pytest.mark.parametrize("damage", ["no database", "cut", "zeros inside", "of another form", "a folder"])
def test_a_damaged_cache_is_misses(folder: str, tmp_path: Path, damage: str) -> None:
    texts, cache = sentences(200), tmp_path / "cache"
    vectors = encode_texts(folder, texts, cache=str(cache))
    file = cache / FILE
    data = bytearray(file.read_bytes())
    if damage == "a folder":
        file.unlink()
        file.mkdir()
    elif damage == "of another form":
        file.unlink()
        with closing(sqlite3.connect(file)) as other:
            other.execute("create table vectors (other)")
    elif damage == "no database":
        file.write_bytes(b"x" * len(data))
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        data[8192 : len(data) // 2] = bytes(len(data) // 2 - 8192)
        file.write_bytes(data)
    for _ in range(2):
        np.testing.assert_allclose(encode_texts(folder, texts, cache=str(cache)), vectors, atol=0.05)


def test_a_vector_that_rotted_is_a_miss(tmp_path: Path) -> None:
    with VectorCache(tmp_path, "f", 4) as cache:
        cache.store({"a": np.ones(4, np.float16), "b": np.zeros(4, np.float16)})
    data = (tmp_path / FILE).read_bytes()
    ones = np.ones(4, np.float16).tobytes()
    assert data.count(ones) == 1
    (tmp_path / FILE).write_bytes(data.replace(ones, ones[:-1] + b"\x00"))
    with VectorCache(tmp_path, "f", 4) as cache:
        assert list(cache.find(["a", "b"])) == ["b"]
    with VectorCache(tmp_path, "another", 4) as cache:
        assert cache.find(["a", "b"]) == {}


def test_the_vectors_that_were_not_used_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1e9]
    monkeypatch.setattr("modules.encoders.cache.time.time", lambda: now[0])
    vectors = {str(n): np.full(64, n % 7, np.float16) for n in range(4000)}
    for day in range(4):
        now[0] += 90_000
        with VectorCache(tmp_path, "f", 64) as cache:
            cache.store({str(n): vectors[str(n)] for n in range(1000 * day, 1000 * day + 1000)})
    now[0] += 90_000
    limit = (tmp_path / FILE).stat().st_size // 2
    with VectorCache(tmp_path, "f", 64, limit) as cache:
        assert len(cache.find([str(n) for n in range(500)])) == 500
    assert (tmp_path / FILE).stat().st_size <= limit
    with VectorCache(tmp_path, "f", 64, limit) as cache:
        left = set(cache.find(list(vectors)))
    assert {str(n) for n in range(500)} <= left and {str(n) for n in range(3500, 4000)} <= left
    assert not {str(n) for n in range(500, 1500)} & left


def _use(folder: str, number: int, failures: multiprocessing.Queue[str]) -> None:
    draw = np.random.default_rng(number)
    for _ in range(30):
        with VectorCache(folder, "f", 8, 200_000) as cache:
            names = [str(n) for n in draw.integers(0, 2000, 100)]
            for name, vector in cache.find(names).items():
                if not (vector == np.float16(int(name))).all():
                    failures.put(name)
            cache.store({name: np.full(8, int(name), np.float16) for name in names})


def test_processes_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=_use, args=(str(tmp_path), number, failures)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0] and failures.empty()
    with VectorCache(tmp_path, "f", 8) as cache:
        assert len(cache.find([str(n) for n in range(2000)])) > 500


def test_a_name_leads_to_the_store_and_a_path_to_itself(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFMARK_ENCODERS", str(Path(folder).parent))
    assert encoder_folder("tiny", tmp_path) == Path(folder)
    assert encoder_folder(os.path.relpath(folder, tmp_path), tmp_path).samefile(folder)
    assert encoder_folder("tiny", Path(folder).parent) == Path(folder)
    with pytest.raises(InputError, match="shelfmark encoder add bge-small"):
        encoder_folder("bge-small", tmp_path)
    for wrong in ("../tiny/x", "", "..", "./none", "a b"):
        with pytest.raises(InputError):
            encoder_folder(wrong, tmp_path)
    monkeypatch.delenv("SHELFMARK_ENCODERS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    tiny_encoder(tmp_path / "shelfmark" / "encoders" / "mine")
    assert encoder_folder("mine", tmp_path) == tmp_path / "shelfmark" / "encoders" / "mine"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=10))
def test_any_texts_are_encoded(folder: str, texts: list[str]) -> None:
    vectors = encode_texts(folder, texts, cache=None)
    norms = np.linalg.norm(vectors, axis=1)
    assert (np.isclose(norms, 1, atol=1e-2) | (norms == 0)).all()
