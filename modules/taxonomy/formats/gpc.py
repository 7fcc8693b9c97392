"""GS1's Global Product Classification: segments, families, classes and bricks, each with its code and definition.

Attributes and their values, below bricks, are no categories.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from modules.errors import InputError, Problem, reason
from modules.taxonomy.formats.base import Entry, Source, TaxonomyFormat, delimiter_of

LEVELS = ("segment", "family", "class", "brick")
_TITLES = ("title", "text", "name", "description", "")
_DEFINITIONS = ("definition", "definitionincludes")
"""What a level holds. What it excludes is left out: an encoder reads the words and not the "no" before them."""
_MAX_UNPACKED = 512 << 20

Column = tuple[int, int | None, int | None]
"""Positions of a level's title, of its code and of its definition."""


class Level(NamedTuple):
    """A category without those above it."""

    title: str
    code: str
    definition: str


Lineage = list[Level]
"""From the segment down to a category."""


class GpcXml(TaxonomyFormat):
    """``<segment code="10000000" text="Pet Care"><family .../></segment>``, read by a parser that takes no entities."""

    kind: ClassVar[str] = "gpc_xml"
    title: ClassVar[str] = "GS1's GPC as XML, JSON, CSV or .xlsx"

    def sniff(self, source: Source) -> float:
        is_xml = source.head.lstrip().startswith("<")
        return 1.0 if is_xml and re.search(r"<(?:\w+:)?segment\s[^>]*code=", source.head, re.IGNORECASE) else 0.0

    def entries(self, source: Source) -> Iterator[Entry]:
        from xml.etree.ElementTree import ParseError

        from defusedxml.common import DefusedXmlException

        try:
            yield from _once(_elements(source.data))
        except DefusedXmlException:
            expected = "expected XML without a document type: entities are not read"
            raise InputError(Problem(source.path, expected, hint="take the DOCTYPE out")) from None
        except (ParseError, ValueError, LookupError) as error:
            line = error.position[0] if isinstance(error, ParseError) else None
            raise InputError(Problem(source.path, f"not XML: {reason(error)}", line)) from None


class GpcJson(TaxonomyFormat):
    """``{"Schema": [{"Level": 1, "Code": 10000000, "Title": "Pet Care", "Childs": [...]}]}``, or flat rows."""

    kind: ClassVar[str] = "gpc_json"
    title: ClassVar[str] = GpcXml.title

    def sniff(self, source: Source) -> float:
        head = source.head.lstrip()
        if not head.startswith(("{", "[")):
            return 0.0
        keys = {_plain(key) for key in re.findall(r'"([^"\\]{1,40})"\s*:', head)}
        flat = any(_plain(f"{level}code") in keys for level in LEVELS)
        return 1.0 if {"schema", "level", "code", "title"} <= keys or flat else 0.0

    def entries(self, source: Source) -> Iterator[Entry]:
        try:
            data = json.loads(source.text)
        except RecursionError:
            raise InputError(Problem(source.path, "nested deeper than a taxonomy is")) from None
        except ValueError as error:
            raise InputError(Problem(source.path, f"not JSON: {getattr(error, 'msg', None) or reason(error)}",
                                     getattr(error, "lineno", None))) from None  # fmt: skip
        nodes = data.get("Schema", ()) if isinstance(data, dict) else data
        if not isinstance(nodes, list):
            raise InputError(Problem(source.path, "expected a list of segments", key="Schema"))
        rows = [row for row in nodes if isinstance(row, dict)]
        if rows and not any("Title" in row for row in rows):
            header = list(dict.fromkeys(key for row in rows for key in row))
            yield from _rows(header, ([row.get(key) for key in header] for row in rows), source)
            return
        yield from _once(_nested(rows))


class GpcTable(TaxonomyFormat):
    """A row per brick (or per attribute value of one) with columns such as SegmentCode, SegmentTitle, ..., BrickTitle.

    Comma, semicolon and tab are known between columns; of a workbook the first sheet with such a header is read.
    """

    kind: ClassVar[str] = "gpc_table"
    title: ClassVar[str] = GpcXml.title

    def sniff(self, source: Source) -> float:
        if source.suffix == ".xlsx" and source.data.startswith(b"PK\x03\x04"):
            return 0.8
        return 1.0 if source.sample and _columns(_cells(source.sample[0])) else 0.0

    def entries(self, source: Source) -> Iterator[Entry]:
        if source.data.startswith(b"PK\x03\x04"):
            table = _workbook(source)
            yield from _rows(next(table, ()), table, source)
            return
        text = source.text
        delimiter = delimiter_of(text.lstrip().split("\n", 1)[0])
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            yield from _rows(next((row for row in reader if any(row)), []), reader, source)
        except csv.Error as error:
            raise InputError(Problem(source.path, f"not CSV: {error}", reader.line_num)) from None


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter_of(line))]


def _plain(name: object) -> str:
    return re.sub(r"[^a-z]", "", str(name).lower())


def _columns(header: Sequence[object]) -> list[Column]:
    """Per level its columns; none unless there are titles of all levels from the segment down, and two at least."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        places.setdefault(_plain(name), place)
    columns: list[Column] = []
    for level in LEVELS:
        title = next((places[f"{level}{end}"] for end in _TITLES if f"{level}{end}" in places), None)
        if title is None:
            break
        definition = next((places[f"{level}{end}"] for end in _DEFINITIONS if f"{level}{end}" in places), None)
        columns.append((title, places.get(f"{level}code"), definition))
    return columns if len(columns) >= 2 else []


def _rows(header: Sequence[object], rows: Iterable[Sequence[object]], source: Source) -> Iterator[Entry]:
    columns = _columns(header)
    if not columns:
        expected = "expected a table with columns such as SegmentTitle, FamilyTitle, ClassTitle and BrickTitle"
        raise InputError(Problem(source.path, expected, 1, value=", ".join(map(str, header))[:300] or None))

    def cell(row: Sequence[object], place: int | None) -> str:
        value = row[place] if place is not None and place < len(row) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "" if value is None else str(value).strip()

    def lineages() -> Iterator[Lineage]:
        for row in rows:
            lineage = [Level(*(cell(row, place) for place in places)) for places in columns]
            while lineage and not lineage[-1].title:
                lineage.pop()
            for depth in range(1, len(lineage) + 1):
                yield lineage[:depth]

    yield from _once(lineages())


def _elements(data: bytes) -> Iterator[Lineage]:
    """Of each element of a level."""
    from defusedxml.ElementTree import iterparse

    above: Lineage = []
    for event, element in iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
        if str(element.tag).rpartition("}")[2].lower() not in LEVELS:
            continue
        if event == "end":
            above.pop()
            element.clear()
            continue
        given = {key.lower(): value for key, value in element.attrib.items()}
        title, definition = (
            next((given[key] for key in keys if given.get(key)), "") for keys in (_TITLES, _DEFINITIONS)
        )
        above.append(Level(title, given.get("code", ""), definition))
        yield list(above)


def _nested(roots: list[dict[str, Any]]) -> Iterator[Lineage]:
    """Titles and codes from the segment down to each node, a node before what is below it."""
    waiting: list[tuple[Lineage, Mapping[str, Any]]] = [([], root) for root in reversed(roots)]
    while waiting:
        above, node = waiting.pop()
        if len(above) == len(LEVELS):
            continue
        lineage = [*above, Level(*(str(node.get(key) or "") for key in ("Title", "Code", "Definition")))]
        yield lineage
        below = node.get("Childs") or node.get("Children") or ()
        waiting += [(lineage, child) for child in reversed(below) if isinstance(child, dict)]


def _once(lineages: Iterable[Lineage]) -> Iterator[Entry]:
    """Each category once. A title that stands for two codes below one parent gets its code behind it."""
    codes: dict[tuple[str, ...], str] = {}
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    for lineage in lineages:
        key = tuple(level.code or level.title for level in lineage)
        if key in names:
            continue
        title, code, definition = lineage[-1]
        path = (*names.get(key[:-1], tuple(level.title for level in lineage[:-1])), title)
        if codes.setdefault(path, key[-1]) != key[-1]:
            path = (*path[:-1], f"{title} ({key[-1]})")
        names[key] = path
        yield Entry(path, None, code or None, definition)


def _workbook(source: Source) -> Iterator[Sequence[object]]:
    """The header and the rows of the first sheet that has the columns."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > _MAX_UNPACKED:
                raise InputError(Problem(source.path, f"larger than {_MAX_UNPACKED >> 20} MiB when unpacked"))
        book = openpyxl.load_workbook(io.BytesIO(source.data), read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            rows = sheet.iter_rows(values_only=True)
            header = next(rows, ())
            if _columns(header):
                yield header
                yield from rows
                return
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError(Problem(source.path, f"not an .xlsx workbook: {reason(error)}")) from None
