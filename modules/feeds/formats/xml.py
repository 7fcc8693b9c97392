"""XML with an element for each product: Google Merchant's RSS and Atom feeds, and what is built like them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

from modules.errors import InputError, Problem, reason
from modules.feeds.formats.base import FeedFormat, Head, ReadOptions, Record, Sniffed
from modules.feeds.opening import BOM, open_plain
from modules.feeds.quarantine import BadRecord, raw_text

BLOCK = 1 << 16
_PRODUCTS = frozenset({
    "item", "entry", "product", "offer", "article", "row", "record", "shopitem", "produkt", "artikel", "produit",
    "articulo", "producto", "prodotto",
})  # fmt: skip
"""Local names of elements that are products, in lower case; the first such element tells which it is in a file."""
_GOOGLE = "base.google.com/ns/1.0"
_MAX_DEPTH = 200
_ADDRESSES = ("href", "url", "src")
"""Attributes that are an element's value where it has no text: Atom's links."""


class Xml(FeedFormat):
    """A product's number among the products stands for its line.

    Element names are columns, without prefix; ``g:`` ones come before others of the same name. What is nested has a
    dotted name, as attributes have, and what is repeated is a list.
    """

    kind = "xml"
    title = "XML with an element for each product (Google Merchant's RSS and Atom)"
    suffixes = (".xml", ".rss", ".atom")

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import DefusedXMLParser

        items = _Items(path, options.max_record_bytes)
        # No entity is ever declared, so none can grow; nothing outside of the file is ever fetched.
        parser = DefusedXMLParser(target=items, encoding=options.encoding, forbid_entities=True, forbid_external=True)
        silent = 0
        with open_plain(path) as stream:
            try:
                while block := stream.read(BLOCK):
                    seen = items.seen
                    parser.feed(block)
                    silent = silent + len(block) if items.seen == seen else 0
                    if silent > options.max_record_bytes + BLOCK:
                        # The parser holds a tag until it ends.
                        raise InputError(Problem(path, f"expected tags of at most {options.max_record_bytes:,} bytes"))
                    yield from items.take()
                parser.close()
            except DefusedXmlException:
                expected = "expected XML without declarations of entities, which can be made to fill the memory"
                raise InputError(Problem(path, expected, hint="take the DOCTYPE out")) from None
            except (ParseError, ValueError, LookupError) as error:
                yield from items.take()
                raise InputError(Problem(path, f"expected well-formed XML ({reason(error)})")) from None
        yield from items.take()

    def sniff(self, head: Head) -> Sniffed | None:
        text = head.data.removeprefix(BOM).lstrip()
        if text[:5] == b"<?xml":
            return Sniffed(0.9)
        is_html = text[:200].lower().startswith((b"<!doctype html", b"<html"))
        return Sniffed(0.6) if text[:1] == b"<" and not is_html else None


class _Element:
    """An open element below a product's, or the product's own."""

    __slots__ = ("attributes", "children", "google", "name", "text")

    def __init__(self, name: str, google: bool, attributes: dict[str, str]):
        self.name = name
        self.google = google
        self.attributes = attributes
        self.text: list[str] = []
        self.children: dict[str, Any] = {}

    def value(self) -> Any:
        text = "".join(self.text).strip()
        if self.children:
            return self.children
        if not text:
            return next((self.attributes[name] for name in _ADDRESSES if name in self.attributes), "")
        return text


class _Items:
    """What the parser calls for each tag; collects products and nothing else.

    Attributes:
      seen: how often it was called.
    """

    def __init__(self, path: str, limit: int):
        self._path = path
        self._limit = limit
        self._depth = 0
        self._product: tuple[str, int] | None = None
        self._open: list[_Element] = []
        self._preferred: set[str] = set()
        self._size = 0
        self._number = 0
        self._done: list[Record | BadRecord] = []
        self.seen = 0

    def take(self) -> list[Record | BadRecord]:
        """The products that are complete."""
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.seen += 1
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InputError(Problem(self._path, f"expected XML of at most {_MAX_DEPTH} nested elements"))
        namespace, _, name = tag.rpartition("}")
        if self._product is None and self._depth > 1 and name.lower() in _PRODUCTS:
            self._product = tag, self._depth
        if not self._open and (tag, self._depth) != self._product:
            return
        if not self._open:
            self._size = 0
            self._number += 1
            self._preferred.clear()
        self._size += len(name) + sum(len(key) + len(value) for key, value in attributes.items())
        if self._size <= self._limit or not self._open:
            local = {key.rpartition("}")[2]: value for key, value in attributes.items()}
            self._open.append(_Element(name, _GOOGLE in namespace, local))
        else:
            # Only the depth matters of what is too long.
            self._open.append(_Element("", False, {}))

    def data(self, text: str) -> None:
        self.seen += 1
        if self._open:
            self._size += len(text)
            if self._size <= self._limit:
                self._open[-1].text.append(text)

    def end(self, tag: str) -> None:
        self.seen += 1
        self._depth -= 1
        if not self._open:
            return
        element = self._open.pop()
        if self._open:
            if self._size <= self._limit:
                self._add(self._open[-1], element, top=len(self._open) == 1)
            return
        if self._size > self._limit:
            shown = raw_text(repr(element.children)[:4000])
            bad = BadRecord(self._path, self._number, "too_long", f"more than {self._limit:,} characters", shown)
            self._done.append(bad)
        else:
            for key, value in element.attributes.items():
                element.children.setdefault(key, value)
            self._done.append(Record(self._number, element.children, None))

    def _add(self, parent: _Element, element: _Element, top: bool) -> None:
        if top and element.name in self._preferred and not element.google:
            return
        if top and element.google and element.name not in self._preferred:
            self._preferred.add(element.name)
            parent.children.pop(element.name, None)
        _put(parent.children, element.name, element.value())
        if top:
            for key, value in element.attributes.items():
                _put(parent.children, f"{element.name}.{key}", value)

    def close(self) -> None:
        """Nothing follows."""


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    """What comes again makes a list."""
    if name not in values:
        values[name] = value
    elif isinstance(values[name], list):
        values[name].append(value)
    else:
        values[name] = [values[name], value]
