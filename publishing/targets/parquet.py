"""A folder with one Parquet file per publication, for warehouses and dataframes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from publishing.targets.base import Options
from publishing.targets.folder import FolderTarget, sync
from publishing.targets.rows import row_of

_SCHEME = "parquet"
_ROWS = 10_000
"""Of a row group, which is what memory holds."""
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("deleted", pa.bool_(), nullable=False),
        pa.field("retailer", pa.string()),
        pa.field("category_id", pa.string()),
        pa.field("category", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("document", pa.string(), nullable=False),
    ]
)


class ParquetTarget(FolderTarget):
    """``products-<version>.parquet``: a row per product, with its first objective's category and the whole document.

    A Parquet file can be read when its end is written. Until then the rows wait in the part, batch by batch, so that
    what was acknowledged survives a kill.
    """

    schemes: ClassVar[tuple[str, ...]] = (_SCHEME,)
    ending: ClassVar[str] = ".parquet"

    def __init__(self, address: str, options: Options, is_hidden: bool):
        super().__init__(address.partition("://")[2], options, is_hidden)
        self.name = f"{_SCHEME}://{self.name}"
        self.identity = f"{_SCHEME}\n{self.identity}"

    def make(self, part: Path, file: Path) -> None:
        # After a kill in between, the part gives the same file once more.
        new = file.with_name(file.name + ".new")
        with new.open("wb") as stream:
            with pq.ParquetWriter(stream, _SCHEMA, compression="zstd") as writer:
                for table in _tables(part):
                    writer.write_table(table)
            os.fsync(stream.fileno())
        os.replace(new, file)
        sync(file.parent)
        part.unlink()


def _tables(part: Path) -> Iterator[pa.Table]:
    with part.open("rb") as lines:
        while chunk := list(islice(lines, _ROWS)):
            documents = map(orjson.loads, chunk)
            rows = [{**row_of(values), "deleted": values.get("deleted", False)} for values in documents]
            yield pa.Table.from_pylist(rows, schema=_SCHEMA)
