"""What shops' files look like: `init`, `validate` and the run read each rightly, or say in words what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modules.errors import InputError
from modules.examples import PRICE
from modules.feeds.mapping import Mapper, Product
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable
from pipeline.init import detect, write_workflow
from pipeline.validate import ValidationReport, check
from pipeline.workflow_file import LoadedWorkflow, load_workflow

NAMES = ("id", "title", "brand", "price", "category")
CATEGORIES = ("Shoes > Boots", "Shoes > Sandals", "Hats > Caps", "Hats > Gloves")
ROWS = [
    (f"{i:04}", f"red item number {i}", ("Acme", "Nord")[i % 2], f"{i + 10}.99", CATEGORIES[i % 4]) for i in range(12)
]


def table(delimiter: str = ",", end: str = "\n", rows: list[Any] | None = None, names: Any = NAMES) -> str:
    return "".join(delimiter.join(row) + end for row in (names, *(rows or ROWS)))


class Read:
    """What the three readings of one file give."""

    def __init__(self, folder: Path, name: str, content: bytes | str):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.guess = detect([path])
        self.loaded: LoadedWorkflow = load_workflow(write_workflow(self.guess, folder / "out", "shop")[0])
        self.report: ValidationReport = check(self.loaded)
        feed = self.loaded.workflow.feed
        mapper = Mapper(feed)
        self.products: list[Product] = []
        self.bad: list[tuple[int, str]] = []
        for record in read_records(str(path), self.guess.files.kinds[0], feed):
            if isinstance(record, BadRecord):
                self.bad.append((record.line, record.reason))
                continue
            try:
                self.products.append(mapper.product(record.data))
            except NotUsable as error:
                self.bad.append((record.line, error.reason))

    @property
    def titles(self) -> list[str | None]:
        return [product.text.get("title") for product in self.products]

    @property
    def notes(self) -> str:
        assert {note for note in self.guess.notes if ": " in note} >= {n for n in self.report.notes if "a." in n}
        return "\n".join(self.guess.notes)


EXPECTED = [row[1] for row in ROWS]

SAME: dict[str, tuple[str, Callable[[], bytes | str]]] = {
    "a blank behind a name": ("a.csv", lambda: table(names=("id", "title ", *NAMES[2:]))),
    "blanks before names": ("a.csv", lambda: table(names=("id", *(f" {name}" for name in NAMES[1:])))),
    "a no-break space and a tab in names": ("a.csv", lambda: table(names=("id", "\xa0title\t", *NAMES[2:]))),
    "CR": ("a.csv", lambda: table(end="\r")),
    "CR LF": ("a.csv", lambda: table(end="\r\n")),
    "mixed line ends": ("a.csv", lambda: table(end="\r") + "\r\n".join(["", ""]) + "\n"),
    "a delimiter behind each row": ("a.csv", lambda: table().replace("\n", ",\n").replace("category,", "category")),
    "delimiters behind all": ("a.csv", lambda: table().replace("\n", ",,\n")),
    "a delimiter behind the header alone": ("a.csv", lambda: table().replace("category", "category,")),
    "sep=;": ("a.csv", lambda: "sep=;\n" + table(";")),
    "sep=; behind a mark": ("a.csv", lambda: "\ufeffsep=;\r\n" + table(";", "\r\n")),
    "sep=^": ("a.csv", lambda: '"sep=^"\n' + table("^")),
    "sep=tab": ("a.csv", lambda: "sep=\t\n" + table("\t")),
    "semicolons": ("a.csv", lambda: table(";")),
    "tabs in .txt": ("a.txt", lambda: table("\t")),
    "pipes": ("a.csv", lambda: table("|")),
    "a line between header and rows": ("a.csv", lambda: table().replace("category\n", "category\n\n,,,,\n")),
    "empty rows at the end": ("a.csv", lambda: table() + ",,,,\n" * 50),
    "UTF-16": ("a.csv", lambda: table("\t").encode("utf-16")),
    "UTF-16 without mark": ("a.csv", lambda: table(";").encode("utf-16-be")),
    "JSON array": ("a.json", lambda: json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS])),
    "array in .jsonl": ("a.jsonl", lambda: json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS], indent=1)),
    "products of an object": (
        "a.json", lambda: json.dumps({"total": 12, "products": [dict(zip(NAMES, row, strict=True)) for row in ROWS]}),
    ),
    "objects over several lines": (
        "a.json", lambda: "\n".join(json.dumps(dict(zip(NAMES, row, strict=True)), indent=2) for row in ROWS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_however_it_is_written_the_products_are_the_same(tmp_path: Path, kind: str) -> None:
    name, content = SAME[kind]
    read = Read(tmp_path, name, content())
    assert not read.report.problems and not read.bad
    assert read.titles == EXPECTED
    assert [product.id for product in read.products] == [row[0] for row in ROWS]
    assert read.products[2].truth == ("Hats", "Caps") and read.products[2].numbers[PRICE] == 12.99


def test_a_header_that_names_a_column_twice_or_not_at_all(tmp_path: Path) -> None:
    rows = [(*row, f"note {row[0]}", "") for row in ROWS]
    read = Read(tmp_path, "a.csv", table(rows=rows, names=("id", "title", "brand", "price", "category", "title", "")))
    assert read.titles == EXPECTED and not read.bad
    assert "'title' 2 times" in read.notes
    columns = next(iter(read.guess.files.records()))
    assert columns["title (2)"] == "note 0000" and len(columns) == 6


def test_what_pandas_writes_for_its_index(tmp_path: Path) -> None:
    rows = [(str(i), *row) for i, row in enumerate(ROWS)]
    read = Read(tmp_path, "a.csv", table(rows=rows, names=("", *NAMES)))
    assert read.titles == EXPECTED and read.products[3].id == "0003"


def test_a_mapped_column_that_the_feed_lacks_is_named(tmp_path: Path) -> None:
    read = Read(tmp_path, "a.csv", table())
    path = tmp_path / "out" / "shop.yaml"
    path.write_text(path.read_text().replace("title: title", "title: titel"))
    problems = check(load_workflow(path)).problems
    assert [(problem.value, "'title'" in problem.hint) for problem in problems] == [("titel", True)]
    assert not read.report.problems


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "Infinity"])
def test_a_number_that_json_lacks_is_a_missing_value(tmp_path: Path, number: str) -> None:
    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    lines = [json.dumps(row) for row in rows]
    lines[3] = lines[3].replace('"13.99"', number).replace("red item", "NaN item, Infinity")
    read = Read(tmp_path, "a.jsonl", "\n".join(lines))
    assert not read.bad and read.titles[3] == "NaN item, Infinity number 3"
    assert PRICE not in read.products[3].numbers and read.products[4].numbers[PRICE] == 14.99


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["10.990000", "79.9000", "1299.0000", "34.99000000"], [10.99, 79.9, 1299.0, 34.99]),
        ([0.30000000000000004, 19.989999771118164, 79.99000000000001, 0.001], [0.3, 19.99, 79.99, 0.001]),
        (pa.array([19.99, 0.1, 1299.95, 5.0], pa.float32()), [19.99, 0.1, 1299.95, 5.0]),
        (pa.array([Decimal("79.9900"), Decimal("1299.0000")], pa.decimal128(12, 4)), [79.99, 1299.0]),
    ],
    ids=["six decimals", "noise of floats", "float32", "decimal"],
)
def test_prices_as_shops_columns_hold_them(tmp_path: Path, written: Any, expected: list[float]) -> None:
    if isinstance(written, pa.Array):
        rows = [row[:3] + row[4:] for row in ROWS]
        columns = dict(zip((*NAMES[:3], NAMES[4]), zip(*rows, strict=True), strict=True))
        repeated = written.take(pa.array([i % len(written) for i in range(len(ROWS))]))
        pq.write_table(
            pa.table({**{name: list(cells) for name, cells in columns.items()}, "price": repeated}), tmp_path / "b"
        )
        name, content = "a.parquet", (tmp_path / "b").read_bytes()
    else:
        rows = [dict(zip(NAMES, row, strict=True)) | {"price": written[i % 4]} for i, row in enumerate(ROWS)]
        name, content = "a.jsonl", "\n".join(map(json.dumps, rows)).encode()
    read = Read(tmp_path, name, content)
    assert [p.numbers[PRICE] for p in read.products] == [expected[i % len(expected)] for i in range(len(ROWS))]


def test_backslashes_before_quotes(tmp_path: Path) -> None:
    rows = [(i, f'"boot 12\\" wide, no. {i}"', f'"{b}"', p, f'"{c}"') for i, _, b, p, c in ROWS]
    read = Read(tmp_path, "a.csv", table(rows=rows))
    assert read.titles == [f'boot 12" wide, no. {row[0]}' for row in ROWS] and not read.bad
    assert '\\"' in read.notes
    # A path ends with a backslash, and is no escaped quote.
    rows = [(i, f'"C:\\{i}\\"', f'"{b}"', p, f'"{c}"') for i, _, b, p, c in ROWS]
    (tmp_path / "b").mkdir()
    assert Read(tmp_path / "b", "a.csv", table(rows=rows)).titles == [f"C:\\{row[0]}\\" for row in ROWS]


def test_a_quote_in_a_quoted_field_is_no_silent_change(tmp_path: Path) -> None:
    rows: list[Any] = list(ROWS)
    rows[5] = ("0005", '"boot 12" wide"', *ROWS[5][2:])
    read = Read(tmp_path, "a.csv", table(rows=rows))
    assert read.bad == [(7, "broken_csv")] and len(read.products) == 11


def test_variants_of_shopify_take_what_their_product_has(tmp_path: Path) -> None:
    names = "Handle,Title,Body (HTML),Vendor,Type,Option1 Value,Variant SKU,Variant Price,Image Src"
    lines = [names]
    for i, row in enumerate(ROWS):
        lines += [
            f"p-{i},{row[1]},<p>Text {i}</p>,{row[2]},{row[4]},S,S{i},{row[3]},https://img.example/{i}.jpg",
            f"p-{i},,,,,M,S{i}-M,{row[3]},",
            f"p-{i},,,,,,,,https://img.example/{i}-2.jpg",
        ]
    read = Read(tmp_path, "a.csv", "\n".join(lines))
    assert [product.id for product in read.products] == [f"S{i}{size}" for i in range(12) for size in ("", "-M")]
    assert read.titles == [title for title in EXPECTED for _ in range(2)]
    assert read.products[5].truth == ("Hats", "Caps") and not read.bad
    assert read.products[5].text["image"] == "https://img.example/2.jpg"
    assert "Handle" in read.notes


GERMAN = "Größe für Mädchen – 5 €"


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("windows-1252", GERMAN), ("latin-1", "Café crème façon 12°"), ("latin-1", "Niño pequeño"),
        ("cp1251", "Красные сапоги для девочек размер"), ("shift_jis", "赤いブーツとサンダル、女の子用の靴"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("late", [False, True])
def test_text_that_is_no_utf8_is_told_and_noted(tmp_path: Path, encoding: str, title: str, late: bool) -> None:
    rows = [(f"x{i}", "plain " * 20 + str(i), "Acme", "1.99", "Shoes") for i in range(4000 if late else 0)]
    rows += [(row[0], f"{title} {row[0]}", *row[2:]) for row in ROWS]
    read = Read(tmp_path, "a.csv", table(rows=rows).encode(encoding))
    assert read.titles[-12:] == [f"{title} {row[0]}" for row in ROWS] and not read.bad
    assert "is read as" in read.notes


def test_an_encoding_that_the_workflow_names_counts(tmp_path: Path) -> None:
    from modules.settings.feed import FeedSettings

    path = tmp_path / "a.csv"
    path.write_bytes("id,title\n1,Größe\n2,žluť\n".encode("cp1250"))
    feed = FeedSettings(encoding="cp1250")
    titles = [r.data["title"] for r in read_records(str(path), "csv", feed) if not isinstance(r, BadRecord)]
    assert titles == ["Größe", "žluť"]
    with pytest.raises(ValueError, match="encoding of text"):
        FeedSettings(encoding="no-such-thing")
    with pytest.raises(ValueError, match="encoding of text"):
        FeedSettings(encoding="rot13")


def test_bad_units_of_utf16_stay_in_their_record(tmp_path: Path) -> None:
    content = "id,title\n1,a\n2,b\n3,c\n".encode("utf-16-le").replace("b".encode("utf-16-le"), b"\x00\xd8")
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe" + content)
    from modules.settings.feed import FeedSettings

    records = list(read_records(str(path), "csv", FeedSettings()))
    assert [(r.line, isinstance(r, BadRecord)) for r in records] == [(2, False), (3, True), (4, False)]


def test_a_document_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"id": "1", "title": "a"}, {"id": "2", "ti')
    from modules.settings.feed import FeedSettings

    with pytest.raises(InputError, match="brackets"):
        list(read_records(str(path), "jsonl", FeedSettings()))
