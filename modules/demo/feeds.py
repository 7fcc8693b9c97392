"""Writes the demo's feeds: one or more files per retailer, in the formats that the readers know, and a few bad records.

Files are written next to their place and moved there when complete, so that an interrupted run leaves no half feed.
Compressed files carry no time and no name: the same products give the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from modules.demo.products import COLUMNS, TITLE, Product
from modules.demo.words import RETAILERS, Retailer

TURN = 100  # A retailer with several files changes from one to the next after so many products of the catalogue.
ROWS = 1000  # Buffered per text file, and a Parquet file's row group divided by 10.
GZIP_LEVEL = 5

# Which retailer's feed gets which bad record; the k-th stands after product FIRST_BAD + k * EVERY_BAD.
BAD = (
    ("shelfquib", "broken JSON"),
    ("aislewump", "no id"),
    ("cratefloof", "not an object"),
    ("parcelnoz", "wrong type"),
    ("basketzig", "no id"),
    ("aislewump", "duplicate id"),
    ("tillplonk", "undecodable bytes"),
    ("shelfquib", "duplicate id"),
    ("parcelnoz", "broken JSON"),
    ("trolleymuff", "no id"),
)
FIRST_BAD, EVERY_BAD = 120, 397

Record = tuple[str, ...]


class Writer(Protocol):
    """One feed file. ``bad`` adds a record of that kind, made out of the good record ``record``."""

    def add(self, record: Record) -> None: ...

    def bad(self, kind: str, record: Record) -> None: ...

    def close(self) -> None: ...


class JsonLinesFeed:
    """Missing values are left out, null or empty, as the retailer has it."""

    def __init__(self, file: IO[bytes], absent: str):
        self._file, self._absent, self._lines = file, absent, []  # type: ignore[var-annotated]
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def add(self, record: Record) -> None:
        self._put(self._text(record))

    def bad(self, kind: str, record: Record) -> None:
        fields = {name: value for name, value in zip(COLUMNS, record, strict=True) if value}
        if kind == "no id":
            del fields["id"]
        elif kind == "wrong type":
            fields |= {"id": fields["id"] + "x", "title": {"en": fields.get("title", "")}}  # type: ignore[dict-item]
        text = self._encode([record[0], record[TITLE]] if kind == "not an object" else fields)
        self._put(text[: len(text) * 2 // 3] if kind == "broken JSON" else text)

    def close(self) -> None:
        self._file.write("".join(self._lines).encode())
        self._lines.clear()

    def _text(self, record: Record) -> str:
        if self._absent == "omit":
            return self._encode({name: value for name, value in zip(COLUMNS, record, strict=True) if value})
        if self._absent == "null":
            return self._encode({name: value or None for name, value in zip(COLUMNS, record, strict=True)})
        return self._encode(dict(zip(COLUMNS, record, strict=True)))

    def _put(self, text: str) -> None:
        self._lines.append(text + "\n")
        if len(self._lines) >= ROWS:
            self.close()


class CsvFeed:
    """With a header; quoted where needed."""

    def __init__(self, file: IO[bytes]):
        self._file, self._text = file, io.StringIO(newline="")
        self._rows: list[Record] = [COLUMNS]
        self._writer = csv.writer(self._text, lineterminator="\n")

    def add(self, record: Record) -> None:
        self._rows.append(record)
        if len(self._rows) >= ROWS:
            self.close()

    def bad(self, kind: str, record: Record) -> None:
        if kind == "no id":
            self.add(("", *record[1:]))
        elif kind == "undecodable bytes":
            self.close()
            self._writer.writerow((record[0] + "x", *record[1:]))
            # UTF-8 has no byte 0xff; the good bytes around it stay.
            self._file.write(self._take().replace(b" ", b" \xff\xfe", 1))
        else:
            self.add(record)

    def close(self) -> None:
        self._writer.writerows(self._rows)
        self._rows.clear()
        self._file.write(self._take())

    def _take(self) -> bytes:
        data = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return data


class ParquetFeed:
    """Row groups of 10,000 products; missing values are null."""

    def __init__(self, file: IO[bytes]):
        import pyarrow as pa
        from pyarrow import parquet

        self._pa = pa
        self._schema = pa.schema([(name, pa.string()) for name in COLUMNS])
        self._writer: Any = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Record] = []

    def add(self, record: Record) -> None:
        self._rows.append(record)
        if len(self._rows) >= ROWS * 10:
            self._flush()

    def bad(self, kind: str, record: Record) -> None:
        self.add(("", *record[1:]) if kind == "no id" else record)

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [[value or None for value in column] for column in zip(*self._rows, strict=True)]
            arrays = [self._pa.array(column, self._pa.string()) for column in columns]
            self._writer.write_table(self._pa.table(arrays, schema=self._schema))
            self._rows.clear()


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new binary file that takes ``path``'s place once the block ends well; a ``.gz`` one is compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(part.open("wb"))
            if path.suffix == ".gz":
                raw = stack.enter_context(gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0))
                file = stack.enter_context(io.BufferedWriter(raw, 1 << 17))
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Feeds:
    """All feed files under ``folder``.

    Attributes:
      bad: number of bad records by kind.
    """

    def __init__(self, folder: Path, stack: ExitStack):
        self.bad: dict[str, int] = {}
        self._writers = [
            [self._open(folder / name, retailer, stack) for name in retailer.files] for retailer in RETAILERS
        ]
        self._last: list[Product | None] = [None] * len(RETAILERS)

    def add(self, index: int, product: Product) -> None:
        """Writes product number ``index``, and the bad record whose turn it is."""
        writers = self._writers[product.retailer]
        writers[index // TURN % len(writers)].add(product.record)
        self._last[product.retailer] = product
        k, rest = divmod(index - FIRST_BAD, EVERY_BAD)
        if rest == 0 and 0 <= k < len(BAD):
            self._add_bad(*BAD[k])

    def _add_bad(self, name: str, kind: str) -> None:
        retailer = next(index for index, retailer in enumerate(RETAILERS) if retailer.name == name)
        model = self._last[retailer]
        if model is not None:
            self._writers[retailer][0].bad(kind, model.record)
            self.bad[kind] = self.bad.get(kind, 0) + 1

    @staticmethod
    def _open(path: Path, retailer: Retailer, stack: ExitStack) -> Writer:
        file = stack.enter_context(replacing(path))
        writer: Writer
        if path.suffix == ".parquet":
            writer = ParquetFeed(file)
        elif ".csv" in path.suffixes:
            writer = CsvFeed(file)
        else:
            writer = JsonLinesFeed(file, retailer.absent)
        stack.callback(writer.close)
        return writer
