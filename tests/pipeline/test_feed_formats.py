"""What every feed format promises: the run, `validate` and `init` read the same records, and the same bad ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.feeds.formats import FORMATS, format_named
from modules.feeds.formats.sniffing import sniff
from modules.feeds.mapping import Mapper
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import flatten, getter
from modules.settings.feed import FeedSettings
from pipeline.init.files import find_files
from pipeline.peek import peek

Rows = list[dict[str, str]]
COLUMNS = ("id", "title", "description")


def _csv(rows: Rows, delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in COLUMNS])), sink)
    return sink.getvalue()


def _jsonl(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


WRITERS: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "a.jsonl": ("jsonl", _jsonl),
    "a.ndjson.gz": ("jsonl", lambda rows: gzip.compress(_jsonl(rows))),
    "bom.jsonl": ("jsonl", lambda rows: b"\xef\xbb\xbf" + _jsonl(rows)),
    "a.csv": ("csv", lambda rows: _csv(rows, ",")),
    "bom.csv": ("csv", lambda rows: b"\xef\xbb\xbf" + _csv(rows, ",")),
    "semicolon.csv.gz": ("csv", lambda rows: gzip.compress(_csv(rows, ";"))),
    "a.tsv": ("csv", lambda rows: _csv(rows, "\t")),
    "a.parquet": ("parquet", _parquet),
    "a.parquet.gz": ("parquet", lambda rows: gzip.compress(_parquet(rows))),
}

# Characters that some line splitters take for a line's end, quotes, delimiters, and what is not ASCII.
TEXT = st.text(st.sampled_from("ab ,;|\t\"'\n\x0b\x0c\x1c\x85\u2028\u2029é漢{[<=0"), max_size=12)
ROWS = st.lists(st.fixed_dictionaries({name: TEXT for name in COLUMNS}), min_size=1, max_size=8).map(
    lambda rows: [{**row, "id": f"p{number}"} for number, row in enumerate(rows)]
)


def test_every_format_is_written_here() -> None:
    assert {kind for kind, _ in WRITERS.values()} == set(FORMATS.builtin)


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_the_run_validate_and_init_read_the_same(name: str, rows: Rows) -> None:
    kind, write = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(write(rows))
        files = find_files([path])
        assert files.kinds == (kind,)
        feed = files.settings
        assert feed.format == "auto" and feed.delimiter == (";" if "semicolon" in name else ",")
        assert list(files.records()) == rows
        run = list(read_records(str(path), kind, feed))
        assert [record.data for record in run if not isinstance(record, BadRecord)] == rows and len(run) == len(rows)
        assert list(peek(path, kind, feed).records) == rows
        assert set(peek(path, kind, feed).columns) == set(COLUMNS)


BROKEN: dict[str, tuple[str, bytes, list[tuple[int, str]]]] = {
    "jsonl": ("a.jsonl", b'{"id": 1}\n{"id": \n{"id": "\xff"}\n{"id": 4}\n', [(2, "broken_json"), (3, "undecodable")]),
    "csv": ("a.csv", b'id,title\n1,"a\nb"\n2,b,c\n3,\xff\n4,d\n', [(4, "broken_csv"), (5, "undecodable")]),
    "parquet": ("a.parquet", b"", [(2, "undecodable"), (3, "too_long")]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_records_keep_their_place(tmp_path: Path, kind: str) -> None:
    name, content, expected = BROKEN[kind]
    path = tmp_path / name
    path.write_bytes(content)
    if kind == "parquet":
        texts = b"a\xffc" + b"z" * 2000 + b"d"
        offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 1, 2, 2003, 2004)))
        column = pa.Array.from_buffers(pa.string(), 4, [None, offsets, pa.py_buffer(texts)])
        pq.write_table(pa.table({"id": ["1", "2", "3", "4"], "title": column}), path)
    feed = FeedSettings(max_record_bytes=1024)
    records = list(read_records(str(path), kind, feed))
    bad = [(record.line, record.reason) for record in records if isinstance(record, BadRecord)]
    assert bad == expected and all(r.file == str(path) for r in records if isinstance(r, BadRecord))
    # validate leaves out what the run puts into quarantine, and nothing else.
    assert [str(row["id"]) for row in peek(path, kind, feed).records] == ["1", "4"]


def test_validate_looks_at_mapped_columns_alone_as_a_run_does(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1"], "title": ["a"], "blob": ["x" * 5000]}), path)
    feed = FeedSettings(max_record_bytes=1024)
    assert peek(path, "parquet", feed).records == ({"id": "1", "title": "a"},)
    assert set(peek(path, "parquet", feed).columns) == {"id", "title", "blob"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"PK\x03\x04rest", "zip archive"),
        ("a.jsonl", b"(\xb5/\xfdrest", "zstd"),
        ("a.csv", b"BZh91AY&SY", "bzip2"),
        ("a.csv", "id,title\n1,x\n".encode("utf-16"), "UTF-16"),
        ("a.jsonl", '{"id": 1}\n'.encode("utf-16"), "UTF-16"),
    ],
)
def test_what_no_reader_takes_is_refused_by_all_alike(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    kind, feed = name.removeprefix("a."), FeedSettings()
    for read in (
        lambda: list(read_records(str(path), kind, feed)),
        lambda: peek(path, kind, feed),
        lambda: find_files([path]),
    ):
        with pytest.raises(InputError, match=words):
            read()


@pytest.mark.parametrize("header", ["PK,title", "BZ,title", "PAR,title"])
def test_a_header_that_begins_like_an_archive_is_still_csv(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n1,a\n2,b\n")
    assert sniff(str(path))[0] == "csv"
    assert len(list(find_files([path]).records())) == 2


def test_tsv_and_csv_lie_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,title\n1,a\n")
    (tmp_path / "b.tsv").write_text("id\ttitle\n2\tb, c\n")
    feed = find_files([tmp_path])
    assert list(feed.records()) == [{"id": "1", "title": "a"}, {"id": "2", "title": "b, c"}]
    assert feed.settings.delimiter == ","


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | TEXT,
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b", "b.a", "", "c"]), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "a.b", "a.b.c", "c"]), JSON, max_size=5))
def test_init_offers_only_columns_that_a_run_reaches(record: dict[str, Any]) -> None:
    for name, value in flatten(record).items():
        assert getter(name)(record) is value


def test_deep_objects_are_flat(tmp_path: Path) -> None:
    record: Any = "deep"
    for _ in range(900):
        record = {"x": record}
    assert list(flatten({"a": record}).values()) == ["deep"]
    nested = {"a": {"b": {"c": {"d": {"e": "v"}}}}}
    path = tmp_path / "a.jsonl"
    path.write_bytes(orjson.dumps({"id": 1, **nested}))
    feed = FeedSettings.model_validate({"fields": {"title": "a.b.c.d.e"}})
    assert "a.b.c.d.e" in peek(path, "jsonl", feed).columns
    record = next(iter(read_records(str(path), "jsonl", feed)))
    assert not isinstance(record, BadRecord) and Mapper(feed).product(record.data).text["title"] == "v"


def test_formats_have_their_names() -> None:
    assert all(format_named(name).kind == name and format_named(name).suffixes for name in FORMATS.builtin)
