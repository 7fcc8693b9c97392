"""Reading: every record with its line, every bad one with its reason, no file that crashes or fills the memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.feeds.formats import csv as csv_format
from modules.feeds.formats import text
from modules.feeds.formats.text import line_blocks
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import Record, read_records
from modules.settings.feed import FeedSettings

SETTINGS = FeedSettings(max_record_bytes=2000)


def outcome(path: str, kind: str, feed: FeedSettings = SETTINGS, **part: int) -> list[tuple[int, Any]]:
    """(line, data) of good records, (line, reason) of bad ones."""
    rows = read_records(path, kind, feed, **part)
    return [(r.line, r.reason if isinstance(r, BadRecord) else r.data) for r in rows]


def test_json_lines(folder: Any) -> None:
    path = folder.jsonl(
        "a.jsonl",
        b'\xef\xbb\xbf{"id": 1}',
        b"",
        b'{"id": 2}\r',
        b'{"id": "\xff"}',
        b'{"id": NaN}',
        b'{"id": 3',
        b'{"id": "' + b"x" * 3000 + b'"}',
        b"[" * 1500 + b"]" * 1500,
        b'{"id": 1e999}',
        b'{"id": "a\x00b"}',
        b'{"id": "\\ud800"}',
        b"  \t ",
        b"[1]",
        {"id": 12345678901234567890123},
        {"id": "last"},
    )
    found = outcome(path, "jsonl")
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15]
    broken = "broken_json"
    assert [reason if isinstance(reason, str) else reason["id"] for _, reason in found[2:10]] == [
        "undecodable", None, broken, "too_long", "too_long", broken, broken, broken
    ]  # fmt: skip
    assert [found[0][1], found[1][1], found[-1][1]] == [{"id": 1}, {"id": 2}, {"id": "last"}]


@pytest.mark.parametrize("depth", [900, 5000, 100_000])
def test_nesting_bombs(folder: Any, depth: int) -> None:
    path = folder.jsonl("a.jsonl", b'{"id": 1, "x": ' + b"[" * depth + b"]" * depth + b"}", b'{"id": 2}')
    found = outcome(path, "jsonl", FeedSettings())
    assert found[-1] == (2, {"id": 2})
    assert found[0][1] == "broken_json" or depth < 1000


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "gzip-without-the-suffix"])
def test_gzip_is_seen_by_its_content(folder: Any, name: str) -> None:
    content = b'{"id": 1}\n{"id": 2}'
    path = folder.write(name, gzip.compress(content) if "suffix" in name else content)
    assert outcome(path, "jsonl") == [(1, {"id": 1}), (2, {"id": 2})]


def test_a_truncated_file_is_an_error_not_a_short_feed(folder: Any) -> None:
    whole = gzip.compress(b"".join(b'{"id": %d, "x": "%d"}\n' % (i, i * i) for i in range(5000)))
    path = folder.write("a.jsonl", whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.jsonl: expected a complete, readable jsonl file"):
        outcome(path, "jsonl")
    with pytest.raises(InputError, match="missing"):
        outcome(str(folder.path / "missing.jsonl"), "jsonl")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path = folder.write("b.jsonl", bytes(flipped))
    with pytest.raises(InputError):
        outcome(path, "jsonl")


def test_an_endless_line_does_not_fill_the_memory() -> None:
    class Endless(io.RawIOBase):
        left = 300

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b"\nnext\n" if self.left == 0 else b""

    import tracemalloc

    tracemalloc.start()
    blocks = list(line_blocks(Endless(), 5000))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert blocks == [(1, [b"x" * 5001, b"next"])]
    assert peak < 20 << 20


@given(
    lines=st.lists(st.binary(max_size=30) | st.sampled_from([b"\r", b"\r\r", b""]), max_size=60),
    block=st.integers(1, 50),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_are_lines(lines: list[bytes], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    content = b"\n".join(lines)
    if content.startswith(b"\xef\xbb\xbf"):
        return
    found = [(n, line) for first, rows in line_blocks(io.BytesIO(content), 1000) for n, line in enumerate(rows, first)]
    assert found == list(enumerate(content.splitlines(), 1))


def write_csv(folder: Any, name: str, rows: list[list[str]], **options: Any) -> str:
    content = io.StringIO()
    csv.writer(content, **options).writerows(rows)
    return folder.write(name, content.getvalue().encode())


def test_csv(folder: Any) -> None:
    path = folder.write(
        "a.csv.gz",
        b"\xef\xbb\xbfid,title\n"
        b"1,plain\n"
        b'2,"two\nlines, and ""quotes"""\n'
        b"\n"
        b"3,too,many\n"
        b"4\n"
        b"5,\xff\n"
        b"6,nul\x00here\n"
        b"7," + b"x" * 3000 + b"\n"
        b'8,"never closed\n' + b"more\n" * 1000 + b"9,after\n",
    )
    found = outcome(path, "csv")
    assert found[:6] == [
        (2, {"id": "1", "title": "plain"}),
        (3, {"id": "2", "title": 'two\nlines, and "quotes"'}),
        (6, "broken_csv"),
        (7, "broken_csv"),
        (8, "undecodable"),
        (9, {"id": "6", "title": "nul\x00here"}),
    ]
    assert found[6:8] == [(10, "too_long"), (11, "too_long")]
    # The quote that was never closed costs as much as a record may be long, not the rest of the file.
    assert found[-1] == (1012, {"id": "9", "title": "after"})


def test_csv_fields_beyond_the_module_s_own_limit(folder: Any) -> None:
    path = write_csv(folder, "a.csv", [["id", "title"], ["1", "y" * 200_000]])
    assert outcome(path, "csv", FeedSettings())[0][1]["title"] == "y" * 200_000


def test_delimiters(folder: Any) -> None:
    rows = [["id", "title"], ["1", "a,b"]]
    expected = [(2, {"id": "1", "title": "a,b"})]
    assert outcome(write_csv(folder, "a.csv", rows, delimiter=";"), "csv", FeedSettings(delimiter=";")) == expected
    assert outcome(write_csv(folder, "a.tsv", rows, delimiter="\t"), "csv") == expected


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_missing_id_column_is_said_once(folder: Any, kind: str) -> None:
    path = str(folder.path / "a")
    if kind == "csv":
        Path(path).write_text("sku,name\n1,a\n")
    else:
        pq.write_table(pa.table({"sku": ["1"], "name": ["a"]}), path)
    with pytest.raises(InputError, match="it has: sku, name"):
        outcome(path, kind)


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> str:
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def test_parquet(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffc")]
    )
    path = write_parquet(
        tmp_path / "a.parquet",
        {"id": [1, 2, 3], "title": bad, "description": ["", None, "z" * 3000], "unused": [1, 2, 3]},
        row_group_size=2,
    )
    found = outcome(path, "parquet")
    assert found == [(1, {"id": 1, "title": "a", "description": ""}), (2, "undecodable"), (3, "too_long")]
    zipped = tmp_path / "a.parquet.gz"
    zipped.write_bytes(gzip.compress(Path(path).read_bytes()))
    assert outcome(str(zipped), "parquet") == found


def test_nested_parquet_columns(tmp_path: Path) -> None:
    feed = FeedSettings.model_validate({"fields": {"url": "extra.url"}})
    path = write_parquet(tmp_path / "a.parquet", {"id": ["1"], "extra": [{"url": "u", "other": 1}]})
    assert outcome(path, "parquet", feed)[0][1]["extra"]["url"] == "u"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet(folder: Any, content: bytes) -> None:
    with pytest.raises(InputError, match="parquet file"):
        outcome(folder.write("a.parquet", content), "parquet")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("of", [2, 3, 7])
def test_parts_together_are_the_whole(tmp_path: Path, kind: str, of: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", 100)
    monkeypatch.setattr(csv_format, "ROWS", 5)
    path = tmp_path / "a"
    ids = [str(i) for i in range(500)]
    if kind == "jsonl":
        path.write_text("".join(json.dumps({"id": i}) + "\n" for i in ids))
    elif kind == "csv":
        path.write_text("id,title\n" + "".join(f'{i},"a\nb"\n' for i in ids))
    else:
        write_parquet(path, {"id": ids}, row_group_size=10)
    whole = outcome(str(path), kind)
    parts = [outcome(str(path), kind, part=part, of=of) for part in range(of)]
    assert sorted((row for part in parts for row in part), key=lambda row: row[0]) == whole
    assert len(whole) == 500 and all(parts)


def test_raw_text_is_kept(folder: Any) -> None:
    path = folder.write("a.csv", b'id,title\n1,"a\nb"\n2,c\n')
    rows = [row for row in read_records(path, "csv", SETTINGS) if isinstance(row, Record)]
    assert [row.raw for row in rows] == ['1,"a\nb"\n', "2,c\n"]
