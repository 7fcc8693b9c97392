"""Parquet, of which only the columns that are asked for are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modules.counting import counted
from modules.errors import InputError, Problem, reason
from modules.feeds.formats.base import FeedFormat, Head, ReadOptions, Record, Sniffed, check_required
from modules.feeds.formats.text import BLOCK
from modules.feeds.opening import seekable
from modules.feeds.quarantine import BadRecord, raw_text

_SPARE = 16 << 20
_ROWS = 1024


class Parquet(FeedFormat):
    """Stretches are row groups. pyarrow is imported with the first file."""

    kind = "parquet"
    title = "Parquet"
    suffixes = (".parquet", ".pq")
    splittable = True

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        with _opened(path) as file:
            names = file.schema_arrow.names
            check_required(path, names, options.required, "schema")
            wanted = options.columns
            if wanted is not None:
                names = [name for name in names if name in wanted or any(c.startswith(f"{name}.") for c in wanted)]
            row = 1
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                _check_sizes(path, group, names, row, options.max_record_bytes)
                if options.is_mine(number):
                    yield from _read_row_group(path, file, number, names, row, options.max_record_bytes)
                row += group.num_rows

    def columns(self, path: str, options: ReadOptions) -> tuple[str, ...] | None:
        with _opened(path) as file:
            return tuple(dict.fromkeys(leaf for field in file.schema_arrow for leaf in _leaves(field)))

    def sniff(self, head: Head) -> Sniffed | None:
        return Sniffed(1.0) if head.data.startswith(b"PAR1") else None


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """The file, opened; what Arrow says about it becomes an InputError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with seekable(path) as source:
        try:
            # With a buffer a column's pages are read as they are needed; without, all of a row group's at once.
            with pq.ParquetFile(source, buffer_size=BLOCK) as file:
                yield file
        except pa.ArrowException as error:
            expected = f"expected a complete, readable parquet file ({reason(error)})"
            raise InputError(Problem(path, expected)) from error


def _check_sizes(path: str, group: Any, columns: list[str], row: int, limit: int) -> None:
    """Refuses what cannot be rows of ``limit`` bytes: a value is unpacked as a whole before anything can look at it."""
    for place in range(group.num_columns):
        chunk = group.column(place)
        name = chunk.path_in_schema
        wanted = name.split(".")[0] in columns or name in columns
        if wanted and chunk.total_uncompressed_size > group.num_rows * limit + _SPARE:
            size = f"{chunk.total_uncompressed_size / 1e6:,.0f} MB in {counted(group.num_rows, 'row')}"
            expected = f"expected rows of at most feed.max_record_bytes ({limit:,}); a row group has {size}"
            raise InputError(Problem(path, expected, row, name))


def _leaves(field: Any, prefix: str = "") -> Iterator[str]:
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{prefix}{field.name}.")
    else:
        yield prefix + field.name


def _read_row_group(
    path: str, file: Any, group: int, columns: list[str], first: int, limit: int
) -> Iterator[Record | BadRecord]:
    for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=columns):
        try:
            records = batch.to_pylist()
        except UnicodeDecodeError:
            records = _decode_each(batch)
        for row, data in enumerate(records, first):
            undecodable = [name for name, value in data.items() if isinstance(value, UnicodeDecodeError)]
            if undecodable:
                raw = raw_text(repr({name: str(value) for name, value in data.items()}))
                yield BadRecord(path, row, "undecodable", f"{undecodable[0]}: bytes that are not UTF-8", raw)
            elif sum(len(value) for value in data.values() if isinstance(value, str | bytes)) > limit:
                yield BadRecord(path, row, "too_long", f"more than {limit:,} characters", raw_text(repr(data)[:4000]))
            else:
                yield Record(row, data, None)
        first += len(records)


def _decode_each(batch: Any) -> list[dict[str, Any]]:
    """A batch's rows, where text that is not UTF-8 comes as the error that decoding it gives."""
    import pyarrow as pa

    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            binary = column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())
            columns[name] = [_decoded(value) for value in binary.to_pylist()]
        else:
            columns[name] = column.to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _decoded(value: bytes | None) -> str | UnicodeDecodeError | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        return error
