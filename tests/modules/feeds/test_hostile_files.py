"""XML, Excel, archives and JSON documents of strangers: nothing in them grows, what is odd is read rightly."""

from __future__ import annotations

import datetime
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import zstandard

from modules.errors import InputError
from modules.feeds.formats.base import ReadOptions
from modules.feeds.formats.csv_dialect import header_of
from modules.feeds.formats.xlsx import Xlsx
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.settings.feed import FeedSettings

SETTINGS = FeedSettings(max_record_bytes=5000)
BOMB = b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10 if i else b"ha") for i in range(10))


def outcome(path: Path, kind: str, feed: FeedSettings = SETTINGS) -> list[Any]:
    """Data of good records, (number, reason) of bad ones."""
    rows = read_records(str(path), kind, feed, columns="all")
    return [(row.line, row.reason) if isinstance(row, BadRecord) else row.data for row in rows]


def peak_of(action: Callable[[], Any]) -> int:
    """The most memory that Python held in it, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "xml",
    [
        b"<!DOCTYPE rss [" + BOMB + b"]><rss><item><id>1</id><title>&e9;</title></item></rss>",
        b"<!DOCTYPE rss [<!ENTITY f SYSTEM 'file:///etc/hostname'>]><rss><item><id>1</id><title>&f;</title></item></rss>",
        b"<!DOCTYPE rss [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/x'> %p;]><rss><item><id>1</id></item></rss>",
        b"<!DOCTYPE rss [" + BOMB + b"]><rss><item id='&e9;'><title>a</title></item></rss>",
        b"<rss><item><id>1</id><title>&undeclared;</title></item></rss>",
        b"<rss><item><id>1</id>",
        b"<a>" * 100_000,
        b"<rss><item a='" + b"x" * 1_000_000,
        b"<rss><!--" + b"x" * 1_000_000,
        b"",
    ],
)
def test_xml_that_is_no_feed_is_refused_in_words(tmp_path: Path, xml: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(xml)
    caught: list[InputError] = []

    def read() -> None:
        with pytest.raises(InputError) as info:
            outcome(path, "xml")
        caught.append(info.value)

    assert peak_of(read) < 20 << 20
    assert "Error" not in caught[0].problems[0].expected and caught[0].problems[0].file == str(path)


def test_a_doctype_without_entities_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<!DOCTYPE rss><rss><item><id>1</id></item></rss>")
    assert outcome(path, "xml") == [{"id": "1"}]


def test_what_a_google_feed_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        """<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
        <title>Shop</title><link>https://shop.example</link>
        <item><title>Plain</title><g:title>Red boot &amp; laces</g:title><g:id> 7 </g:id>
          <description><![CDATA[<p>Long & <b>bold</b></p>]]></description><link>https://shop.example/7</link>
          <g:product_type>Shoes &gt; Boots</g:product_type><g:product_type>Sale</g:product_type>
          <g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
          <g:additional_image_link>https://i.example/1.jpg</g:additional_image_link>
          <g:additional_image_link>https://i.example/2.jpg</g:additional_image_link>
          <g:price currency="EUR">10.99</g:price></item>
        <item><g:id>8</g:id><g:title>Second</g:title><title>Plain</title></item>
        </channel></rss>"""
    )
    assert outcome(path, "xml") == [
        {
            "title": "Red boot & laces", "id": "7", "description": "<p>Long & <b>bold</b></p>",
            "link": "https://shop.example/7", "product_type": ["Shoes > Boots", "Sale"],
            "shipping": {"country": "DE", "price": "4.90 EUR"},
            "additional_image_link": ["https://i.example/1.jpg", "https://i.example/2.jpg"], "price": "10.99",
            "price.currency": "EUR",
        },
        {"id": "8", "title": "Second"},
    ]  # fmt: skip


def test_atom_and_attributes(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><link rel="x" href="https://a.example"/></entry></feed>'
        .encode("utf-16")
    )  # fmt: skip
    assert outcome(path, "xml") == [
        {"id": "1", "link": "https://a.example", "link.rel": "x", "link.href": "https://a.example"}
    ]
    path.write_bytes(
        "<?xml version='1.0' encoding='windows-1252'?><shop><offer id='5'><name>Größe €</name></offer></shop>"
        .encode("windows-1252")
    )  # fmt: skip
    assert outcome(path, "xml") == [{"name": "Größe €", "id": "5"}]


def test_an_endless_product_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.write(b"<rss><item><id>1</id></item><item><id>2</id><title>")
        for _ in range(60):
            file.write(b"x" * 1_000_000)
        file.write(b"</title>" + b"<a>b</a>" * 10_000 + b"</item><item><id>3</id></item></rss>")
    found: list[Any] = []
    assert peak_of(lambda: found.extend(outcome(path, "xml"))) < 20 << 20
    assert found == [{"id": "1"}, (2, "too_long"), {"id": "3"}]


def test_an_endless_value_of_a_document_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.write(b'{"products": [{"id": 1}, {"id": 2, "title": "')
        for _ in range(60):
            file.write(b'x]}[{"'.replace(b'"', b"'") * 200_000)
        file.write(b'"}, {"id": 3, "x": }, {"id": 4}, 5], "more": [{"id": 6}]}')
    found: list[Any] = []
    assert peak_of(lambda: found.extend(outcome(path, "jsonl"))) < 20 << 20
    assert found == [{"id": 1}, (2, "too_long"), (3, "broken_json"), {"id": 4}, 5]


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_archives_that_are_no_single_table(tmp_path: Path) -> None:
    table = b"id,title\n1,a\n"
    for members, words in [({"a.csv": table, "b.csv": table}, "it has 2: 'a.csv', 'b.csv'"), ({}, "it has 0")]:
        with pytest.raises(InputError, match=words):
            outcome(archive(tmp_path / "a.csv.zip", {".hidden": b"", **members}), "csv")
    with pytest.raises(InputError, match="deflated"):
        outcome(archive(tmp_path / "a.csv.zip", {"a.csv": table}, zipfile.ZIP_BZIP2), "csv")
    whole = archive(tmp_path / "a.csv.zip", {"a.csv": table * 1000}).read_bytes()
    for broken in (whole[:100], whole[:50] + bytes(20) + whole[70:]):
        (tmp_path / "b.csv.zip").write_bytes(broken)
        with pytest.raises(InputError, match="readable"):
            outcome(tmp_path / "b.csv.zip", "csv")


@pytest.mark.parametrize("suffix", ["zip", "zst"])
def test_what_unpacks_to_much_is_read_in_bounded_memory(tmp_path: Path, suffix: str) -> None:
    content = b"id,title\n1,a\n2," + b"x" * 200_000_000 + b"\n3,c\n"
    path = tmp_path / f"a.csv.{suffix}"
    if suffix == "zip":
        archive(path, {"a.csv": content})
    else:
        path.write_bytes(zstandard.compress(content))
    del content
    feed = FeedSettings(encoding="utf-8", max_record_bytes=5000)
    found: list[Any] = []
    assert peak_of(lambda: found.extend(outcome(path, "csv", feed))) < 60 << 20
    assert found == [{"id": "1", "title": "a"}, (3, "too_long"), {"id": "3", "title": "c"}]


def test_a_truncated_zstd_file_is_an_error_not_a_short_feed(tmp_path: Path) -> None:
    content = b"id,title\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(50_000))
    whole = zstandard.compress(content)
    for size in (len(whole) - 1, len(whole) // 2, 20):
        (tmp_path / "a.csv.zst").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"a\.csv\.zst"):
            outcome(tmp_path / "a.csv.zst", "csv")
    (tmp_path / "a.csv.zst").write_bytes(whole)
    assert len(outcome(tmp_path / "a.csv.zst", "csv")) == 50_000


def workbook(path: Path, rows: list[list[Any]], formats: dict[str, str] | None = None) -> Path:
    book = openpyxl.Workbook()
    book.active.append([])
    for row in rows:
        book.active.append(row)
    for cell, number_format in (formats or {}).items():
        book.active[cell].number_format = number_format
    book.create_sheet("second").append(["not", "read"])
    book.save(path)
    return path


def test_cells_are_what_a_sheet_shows(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 3, 1)
    rows: list[list[Any]] = [
        [" id ", "title", "price", "since", None, "title"],
        [12, "a\nb", 19.99, day, None, None],
        [7, "=1/0", 20.0, None, None, "x"],
        [None, "  ", None],
        [8, "c"],
        [9, "d", 1, None, "lost", None, "beyond"],
    ]
    path = workbook(tmp_path / "a.xlsx", rows, {"A3": "0000", "A4": "00000"})
    assert outcome(path, "xlsx") == [
        {"id": "0012", "title": "a\nb", "price": 19.99, "since": day.date(), "column 5": None, "title (2)": None},
        {"id": "00007", "title": None, "price": 20, "since": None, "column 5": None, "title (2)": "x"},
        {"id": 8, "title": "c", "price": None, "since": None, "column 5": None, "title (2)": None},
        (7, "broken_csv"),
    ]


@pytest.mark.parametrize(
    "above", [[], [["Our catalogue"]], [[None, "Our catalogue"], [], [datetime.date(2024, 3, 1)], [0]]]
)
def test_what_stands_above_a_header_is_no_header(tmp_path: Path, above: list[list[Any]]) -> None:
    rows = [*above, ["id", "title"], [1, "a"], ["only an id"], [None, None], [2, "b"]]
    path, passed = workbook(tmp_path / "a.xlsx", rows), Counter[str]()
    records = list(read_records(str(path), "xlsx", SETTINGS, columns="all", passed_over=passed))
    assert [record.data for record in records if not isinstance(record, BadRecord)] == [
        {"id": 1, "title": "a"}, {"id": "only an id", "title": None}, {"id": 2, "title": "b"},
    ]  # fmt: skip
    alone = sum(len(row) > 0 for row in above)
    # Every row of the sheet, the header apart, is counted somewhere; the workbook begins with a blank one.
    assert (passed["above_the_header"], passed["blank"]) == (alone, 2 + len(above) - alone)
    notes = Xlsx().notes(str(path), ReadOptions(5000))
    assert len(notes) == (alone > 0) and all("Our catalogue" in note for note in notes)


def test_a_sheet_with_one_column_has_nothing_above_its_header(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["id"], [1], [2]])
    assert outcome(path, "xlsx") == [{"id": 1}, {"id": 2}]


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["id", "title"], ["1", "a"]])
    with zipfile.ZipFile(path) as source:
        members = {info.filename: source.read(info) for info in source.infolist()}
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            if name != "xl/sharedStrings.xml":
                target.writestr(name, content)
        with target.open("xl/sharedStrings.xml", "w", force_zip64=True) as strings:
            for _ in range(600):
                strings.write(b" " * (1 << 20))

    def read() -> None:
        with pytest.raises(InputError, match="MiB of texts"):
            outcome(tmp_path / "b.xlsx", "xlsx")

    assert peak_of(read) < 20 << 20
    members["xl/worksheets/sheet1.xml"] = b"<!DOCTYPE x [" + BOMB + b"]><worksheet>&e9;</worksheet>"
    archive(tmp_path / "c.xlsx", members)
    with pytest.raises(InputError, match="workbook"):
        outcome(tmp_path / "c.xlsx", "xlsx")
    (tmp_path / "d.xlsx").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="workbook"):
        outcome(tmp_path / "d.xlsx", "xlsx")
    archive(tmp_path / "e.xlsx", {"[Content_Types].xml": b"", "word/document.xml": b""})
    with pytest.raises(InputError, match="another document"):
        outcome(tmp_path / "e.xlsx", "xlsx")


def test_the_parser_of_sheets_is_the_one_that_refuses_entities() -> None:
    import openpyxl.worksheet._reader as reader

    assert reader.iterparse.__module__.startswith("defusedxml")


def test_a_header_of_equal_names_takes_linear_time() -> None:
    """Each name is looked up among those before it: 5 billion comparisons if they are a list, and hours."""
    header = header_of(["1"] * 100_000)
    assert len(set(header.names)) == 100_000 and header.names[:3] == ("1", "1 (2)", "1 (3)")
