"""CSV with a header of any of the names that people give such columns: paths, names with parents, or one per level.

Neither case nor what stands between words matters: ``Category Path`` is ``category_path``. Other columns are left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from modules.counting import counted
from modules.errors import InputError, Problem, Problems, shorten
from modules.taxonomy.documents import MAX_DEPTH, Node
from modules.taxonomy.formats.base import OWN_KEYS, Entry, Source, TaxonomyFormat, delimiter_of
from modules.taxonomy.formats.lines import path_cells

_PATHS = (
    "path", "full path", "category path", "category full path", "full category path", "path name", "breadcrumb",
    "breadcrumbs", "hierarchy", "category hierarchy", "category tree", "full name", "category full name",
    "full category", "full category name", "taxonomy", "taxonomy path", "product type", "google product category",
)  # fmt: skip
"""Names of a column of whole paths, the most telling one first."""
_NAMES = (
    "category", "category name", "category title", "name", "title", "label", "categories", "product category", "node",
    "node name",
)  # fmt: skip
"""Names of a column of names, or of whole paths where there are neither parents nor levels."""
_IDS = ("id", "category id", "code", "category code", "node id", "key", "category key", "uid")
_PARENTS = (
    "parent", "parent id", "parent category", "parent category id", "parent code", "parent category code",
    "parent name", "parent category name", "parent node", "parent node id", "parent key",
)  # fmt: skip
_EXCLUSIVE = ("exclusive",)
_DESCRIPTIONS = ("description", "category description", "definition", "category definition")
_SYNONYMS = ("synonyms", "category synonyms", "aliases", "also known as", "other names")
_LEVEL = re.compile(r"(?:category|cat|categorylevel|level|lvl|l|tier|depth)(\d{1,2})(?:name|title)?")
_BELOW = (
    ("category", "category name", "main category", "parent category", "top category", "department"),
    ("subcategory", "subcategory name"),
    ("subsubcategory", "sub subcategory name"),
)
"""Names of columns of levels, from the top down."""
_NO_PARENT = frozenset(("", "0", "-1", "-", "null", "none", "nil", "root", "n/a"))
_SUFFIXES = frozenset((".csv", ".tsv", ".tab"))


class _Columns(NamedTuple):
    """Where the columns stand: ``names`` of a column with paths or names, or of one per level."""

    names: tuple[int, ...]
    parent: int | None
    id: int | None
    exclusive: int | None
    description: int | None
    synonyms: int | None

    def entry(self, path: tuple[str, ...], row: Sequence[str], line: int, source: Source) -> Entry:
        """The category of a row."""
        own = None if self.id is None else row[self.id] or None
        description = "" if self.description is None else row[self.description]
        synonyms = "" if self.synonyms is None else row[self.synonyms]
        return Entry(path, line, own, description, synonyms, _exclusive(row, self, line, source))


class CategoryTable(TaxonomyFormat):
    """A row per category. Comma, semicolon, tab and bar are known between columns."""

    kind: ClassVar[str] = "table"
    title: ClassVar[str] = "CSV with a column of paths, of names and their parents, or one per level"

    def sniff(self, source: Source) -> float:
        if source.suffix not in _SUFFIXES or source.is_binary or not source.sample:
            return 0.0
        header = {cell.strip().strip('"') for cell in source.sample[0].split(",")}
        # Without either of these two keys, one of the project's own form would have no category that people label.
        own = header <= set(OWN_KEYS) and not header.isdisjoint(("exclusive", "parent"))
        return 0.0 if own else 0.6

    def entries(self, source: Source) -> Iterator[Entry]:
        rows = _rows(source)
        line, header = next(rows)
        columns = _columns(header)
        if columns is None:
            expected = "expected a header that names a column of categories"
            raise InputError(Problem(source.path, expected, line, value=", ".join(header), hint=_accepted()))
        listed = list(rows)
        if columns.parent is not None:
            yield from _below_parents(listed, columns, columns.parent, source)
        elif len(columns.names) > 1:
            for number, row in listed:
                path = tuple(row[place] for place in columns.names if row[place])
                yield columns.entry(path, row, number, source)
        else:
            place = columns.names[0]
            cells = path_cells([row[place] for _, row in listed])
            for number, row in listed:
                names = cells.names(row[place])
                yield columns.entry(names, row, number, source)


def _rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with the line where it ends; rows without anything in them are left out."""
    delimiter = delimiter_of(source.sample[0])
    reader = csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for written in reader:
            row = [cell.strip() for cell in written]
            if not any(row) or (header is None and row[0].startswith("#")):
                continue
            if header is None:
                header = row
                if len(set(header)) < len(header):
                    raise InputError(Problem(source.path, "a column is named twice", reader.line_num,
                                             value=", ".join(header)))  # fmt: skip
            elif len(header) == 1:
                # There is one column: a comma without quotes around it parts none.
                row = [delimiter.join(written).strip()]
            elif len(row) != len(header):
                expected = f"expected {counted(len(header), 'column')} as in the header, not {len(row)}"
                hint = "put a cell that has the separator in it into quotes"
                raise InputError(Problem(source.path, expected, reader.line_num, hint=hint))
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(Problem(source.path, f"not CSV: {error}", reader.line_num)) from None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _columns(header: Sequence[str]) -> _Columns | None:
    """None if no column has categories."""
    places: dict[str, int] = {}
    for place, column in enumerate(header):
        places.setdefault(_plain(column), place)

    def place_of(known: Sequence[str]) -> int | None:
        return next((places[_plain(name)] for name in known if _plain(name) in places), None)

    path, name, parent = (place_of(known) for known in (_PATHS, _NAMES, _PARENTS))
    further = tuple(place_of(known) for known in (_IDS, _EXCLUSIVE, _DESCRIPTIONS, _SYNONYMS))
    if path is not None:
        return _Columns((path,), None, *further)
    if name is not None and parent is not None:
        return _Columns((name,), parent, *further)
    if levels := _levels(places, [place_of(known) for known in _BELOW]):
        return _Columns(levels, None, *further)
    return None if name is None else _Columns((name,), None, *further)


def _levels(places: Mapping[str, int], below: Sequence[int | None]) -> tuple[int, ...]:
    """The columns of levels from the top down; none if there are none."""
    if below[0] is not None and below[1] is not None:
        return tuple(place for place in below if place is not None)
    numbered = {int(match[1]): place for name, place in places.items() if (match := _LEVEL.fullmatch(name))}
    return tuple(numbered[number] for number in sorted(numbered))


def _accepted() -> str:
    return (
        f"call a column of paths or names one of: {', '.join((*_PATHS, *_NAMES))} (names may have {_PARENTS[0]} or "
        f"{_PARENTS[1]} beside them), or have a column per level (category, subcategory; level 1, level 2); "
        f"case, blanks and underscores do not matter"
    )


def _id(row: Sequence[str], columns: _Columns) -> str | None:
    return (row[columns.id] or None) if columns.id is not None else None


def _exclusive(row: Sequence[str], columns: _Columns, line: int, source: Source) -> bool | None:
    if columns.exclusive is None:
        return None
    cell = row[columns.exclusive]
    value = Node(line, text=cell).as_bool() if cell else False
    if value is None:
        raise InputError(Problem(source.path, "expected true or false", line, "exclusive", cell))
    return value


def _below_parents(
    rows: Sequence[tuple[int, list[str]]], columns: _Columns, parent: int, source: Source
) -> Iterator[Entry]:
    """The categories of rows that name their parents, by ids or by names.

    Raises:
      InputError: a parent that is not there, that several could be, or that is below itself.
    """
    tree = _Tree([(line, row[columns.names[0]], _id(row, columns), row[parent]) for line, row in rows], source)
    for number, (line, row) in enumerate(rows):
        path = tree.path(number)
        if path is not None:
            yield columns.entry(path, row, line, source)
    if tree.problems:
        raise InputError(tree.problems)


class _Tree:
    """Rows as a forest; ``problems`` are what is wrong with their parents."""

    def __init__(self, rows: Sequence[tuple[int, str, str | None, str]], source: Source):
        """Takes (line, name, id, parent's id or name) of each row."""
        self.rows = rows
        self.source = source
        self.problems = Problems()
        self.by_id: dict[str, int] = {}
        self.by_name: dict[str, list[int]] = {}
        for number, (_, name, id, _) in enumerate(rows):
            if id is not None:
                self.by_id.setdefault(id, number)
            self.by_name.setdefault(name, []).append(number)
        self.paths: dict[int, tuple[str, ...] | None] = {}

    def path(self, number: int) -> tuple[str, ...] | None:
        """A row's names from the root down, at most one level more than may be; None if a parent is wrong."""
        chain: dict[int, None] = {}
        above: int | None = number
        path: tuple[str, ...] | None = ()
        while above is not None and above not in self.paths:
            if above in chain:
                self._complain(above, "a category cannot be above itself")
                path, above = None, None
                break
            chain[above] = None
            below = above
            try:
                above = self._parent(below)
            except LookupError as error:
                self._complain(below, str(error.args[0]))
                path, above = None, None
        if above is not None:
            path = self.paths[above]
        for row in reversed(chain):
            path = None if path is None else path if len(path) > MAX_DEPTH else (*path, self.rows[row][1])
            self.paths[row] = path
        return path

    def _parent(self, number: int) -> int | None:
        """The row above; None of a root. Raises LookupError, which says in words what is wrong."""
        text = self.rows[number][3]
        if text in self.by_id:
            return self.by_id[text]
        named = self.by_name.get(text, ())
        if len(named) == 1:
            return named[0]
        if named:
            raise LookupError("several categories are called that; name the parent by its id")
        if text.casefold() in _NO_PARENT:
            return None
        raise LookupError("no such category")

    def _complain(self, number: int, expected: str) -> None:
        line, _, _, parent = self.rows[number]
        self.problems.add(Problem(self.source.path, expected, line, "parent", shorten(parent)))
