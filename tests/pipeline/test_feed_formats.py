"""What every feed format promises: the run, `validate` and `init` read the same records, and the same bad ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.cell import WriteOnlyCell

from modules.errors import InputError
from modules.feeds.formats import FORMATS, format_named
from modules.feeds.formats.sniffing import sniff
from modules.feeds.mapping import Mapper
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import flatten, getter
from modules.settings.feed import FeedSettings
from pipeline.init.files import feed_paths, find_files
from pipeline.peek import peek

Rows = list[dict[str, str]]
COLUMNS = ("id", "title", "description")
GOOGLE = "http://base.google.com/ns/1.0"


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


def _rss(rows: Rows, atom: bool = False) -> bytes:
    root = ElementTree.Element("feed" if atom else "rss")
    parent = root if atom else ElementTree.SubElement(root, "channel")
    ElementTree.SubElement(parent, "title").text = "The shop, not a product"
    for row in rows:
        item = ElementTree.SubElement(parent, "entry" if atom else "item")
        for name, value in row.items():
            ElementTree.SubElement(item, f"{{{GOOGLE}}}{name}").text = value
    return ElementTree.tostring(root, "utf-8" if atom else "utf-16")


def _xlsx(rows: Rows) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    for hidden in (True, False):
        sheet = book.create_sheet()
        sheet.sheet_state = "hidden" if hidden else "visible"
        sheet.append(COLUMNS)
        for row in rows:
            cells = [WriteOnlyCell(sheet, value=row[name]) for name in COLUMNS]
            for cell in cells:
                # Not a formula, whatever it begins with.
                cell.data_type = "s"
            sheet.append(cells)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"exports/{name}", content)
        archive.writestr("__MACOSX/exports/._" + name, b"x")
    return target.getvalue()


def _zstd(content: bytes) -> bytes:
    """In several frames, as parallel compressors write them."""
    half = len(content) // 2
    return b"".join(zstandard.compress(part) for part in (content[:half], content[half:]))


WRITERS: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "a.jsonl": ("jsonl", _jsonl),
    "a.ndjson.gz": ("jsonl", lambda rows: gzip.compress(_jsonl(rows))),
    "bom.jsonl": ("jsonl", lambda rows: b"\xef\xbb\xbf" + _jsonl(rows)),
    "array.json": ("jsonl", lambda rows: json.dumps(rows).encode()),
    "array.jsonl.zst": ("jsonl", lambda rows: _zstd(json.dumps(rows, indent=1).encode())),
    "object.json": ("jsonl", lambda rows: json.dumps({"count": len(rows), "products": rows}).encode("utf-16")),
    "a.csv": ("csv", lambda rows: _csv(rows, ",")),
    "bom.csv": ("csv", lambda rows: b"\xef\xbb\xbf" + _csv(rows, ",")),
    "semicolon.csv.gz": ("csv", lambda rows: gzip.compress(_csv(rows, ";"))),
    "pipe.csv.zst": ("csv", lambda rows: _zstd(_csv(rows, "|"))),
    "wide.csv": ("csv", lambda rows: _csv(rows, ";").decode().encode("utf-16")),
    "sep.csv": ("csv", lambda rows: b"sep=;\n" + _csv(rows, ";")),
    "a.csv.zip": ("csv", lambda rows: _zip("whatever.csv", _csv(rows, ","))),
    "export.zip": ("csv", lambda rows: _zip("a.tsv", _csv(rows, "\t"))),
    "a.tsv": ("csv", lambda rows: _csv(rows, "\t")),
    "a.parquet": ("parquet", _parquet),
    "a.parquet.gz": ("parquet", lambda rows: gzip.compress(_parquet(rows))),
    "a.parquet.zip": ("parquet", lambda rows: _zip("a.parquet", _parquet(rows))),
    "rss.xml": ("xml", _rss),
    "atom.xml.gz": ("xml", lambda rows: gzip.compress(_rss(rows, atom=True))),
    "a.xlsx": ("xlsx", _xlsx),
}

# Characters that some line splitters take for a line's end, quotes, delimiters, and what is not ASCII.
TEXT = st.text(st.sampled_from("ab ,;|\t\"'\n\x0b\x0c\x1c\x85\u2028\u2029é漢{[<=0"), max_size=12)
_NO_XML = re.compile("[\x0b\x0c\x1c]")
ROWS = st.lists(st.fixed_dictionaries({name: TEXT for name in COLUMNS}), min_size=1, max_size=8).map(
    lambda rows: [{**row, "id": f"p{number}"} for number, row in enumerate(rows)]
)


def _texts(records: Iterable[dict[str, Any]]) -> Rows:
    return [{name: value if value is not None else "" for name, value in record.items()} for record in records]


def test_every_format_is_written_here() -> None:
    assert {kind for kind, _ in WRITERS.values()} == set(FORMATS.builtin)


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_the_run_validate_and_init_read_the_same(name: str, rows: Rows) -> None:
    kind, write = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if kind in ("xml", "xlsx"):
            # XML has no control characters, ends lines in one way, and an empty cell is none.
            rows = [{name: " ".join(_NO_XML.sub("", text).split()) for name, text in row.items()} for row in rows]
        path.write_bytes(write(rows))
        files = find_files([path])
        assert files.kinds == (kind,)
        feed = files.settings
        assert feed.format == "auto" and feed.delimiter is None
        assert _texts(files.records()) == rows
        run = list(read_records(str(path), kind, feed))
        assert _texts(record.data for record in run if not isinstance(record, BadRecord)) == rows
        assert len(run) == len(rows)
        assert _texts(peek(path, kind, feed).records) == rows
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
        ("a.csv", b"\xfd7zXZ\x00rest", "xz"),
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
    feed = find_files(feed_paths([tmp_path]))
    assert list(feed.records()) == [{"id": "1", "title": "a"}, {"id": "2", "title": "b, c"}]


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


# What Windows-1252 has, and shops of Western Europe write: enough of it in each title for a guess.
WORDS = st.lists(
    st.sampled_from(["Größe", "façon", "niño", "5 €", 'boot 12"', "a;b", "x, y", "p|q", "t\tt", "\\", ""]), max_size=5
)
TITLES = WORDS.map(lambda words: " ".join(["Crème brûlée", *words]))


@given(
    titles=st.lists(TITLES, min_size=1, max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]),
    behind=st.sampled_from(["", "rows", "all"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    said=st.booleans(),
    blank=st.sampled_from(["", " ", "\xa0"]),
    empty=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_a_table_is_the_same_in_every_dialect(
    titles: list[str],
    delimiter: str,
    end: str,
    encoding: str,
    behind: str,
    quoting: Any,
    said: bool,
    blank: str,
    empty: int,
) -> None:
    rows = [{"id": f"p{i}", "title": title, "description": "é"} for i, title in enumerate(titles)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    tail = [""] if behind else []
    writer.writerow([*(blank + name + blank for name in COLUMNS), *(tail if behind == "all" else [])])
    for row in rows:
        writer.writerow([*row.values(), *tail])
        text.write(end * empty + delimiter * 2 * empty + end)
    content = (f"sep={delimiter}{end}" if said else "") + text.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.csv"
        path.write_bytes(content.encode(encoding))
        files = find_files([path])
        assert list(files.records()) == rows
        run = list(read_records(str(path), "csv", FeedSettings()))
        assert [record.data for record in run if not isinstance(record, BadRecord)] == rows and len(run) == len(rows)
