"""Files as they come from outside: valid ones, damaged in every way that hypothesis finds, and those made to harm."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from shelfmark import cli

_SEARCH = int(os.environ.get("SHELFMARK_FUZZ", "0"))
fuzz = settings(
    max_examples=_SEARCH or 8,
    deadline=None,
    # Every run of the suite tries the same examples, and says the first that fails; a search tries new ones.
    derandomize=not _SEARCH,
    database=None,
    # Shrinking runs the command line hundreds of times more; what failed is shown as it is.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
"""A few examples in every run; ``SHELFMARK_FUZZ=1000`` searches among as many new ones for each reader."""

CLASS_NAME = re.compile(r"\b[A-Za-z_]*(?:Error|Exception|Warning)\b|Traceback|\b[A-Z]\w+Invalid\b|<class|\[Errno")

DEEP: Any = "x"
for _ in range(300):
    DEEP = [DEEP]

NASTY: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    7,
    2**63,
    10**30,
    10**400,
    -0.0,
    1e308,
    1e-320,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\u202eevil",
    "a\nb",
    "\u2028",
    "\ufeff",
    "=1+1",
    "nan",
    "9999-99-99",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "1e999",
    "x" * 1001,
    "y" * 70_000,
    [],
    [[]],
    [None],
    [1, "a", {}],
    {},
    {"": ""},
    {"a": {"b": {"c": {"d": {"e": 1}}}}},
    DEEP,
    "[" * 5000,
    "Shoes > Boots",
    ["Shoes", "Boots"],
    "2026-03-01",
]


def check(*arguments: object) -> tuple[int, str]:
    """Runs the command line in this process; gives its exit code and output, which people can read."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = left.code or 0
    text = out.getvalue() + err.getvalue()
    assert code in (0, 2), text
    assert not CLASS_NAME.search(text), text
    assert all(line.replace("\t", " ").isprintable() for line in text.splitlines()), repr(text)
    assert code == 0 or err.getvalue().strip()
    assert len(text) < 200_000
    return int(code), text


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from _paths(child, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A copy of a tree of dicts and lists: up to three things are dropped, replaced, doubled, added or wrapped."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_paths(document))[:400]))
        # A copy: what is drawn may be changed by the next step, and is drawn again.
        new = json.loads(json.dumps(draw(st.sampled_from(NASTY) | st.text(max_size=20) | st.integers() | st.floats())))
        if not path:
            document = draw(st.sampled_from([new, [document], {"a": document}, document]))
            continue
        parent, key = _at(document, path[:-1]), path[-1]
        how = draw(st.sampled_from(["drop", "replace", "replace", "double", "add", "rename", "wrap"]))
        if how == "drop":
            del parent[key]
        elif how == "double" and isinstance(parent, list):
            parent.append(parent[key])
        elif how == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = new
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = parent.pop(key)
        elif how == "wrap":
            parent[key] = draw(st.sampled_from([[parent[key]], {"a": parent[key]}]))
        else:
            parent[key] = new
        if not isinstance(document, dict | list):
            break
    return document


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes that are cut, filled with others, doubled, or written in another encoding."""
    for _ in range(draw(st.integers(1, 3))):
        low = draw(st.integers(0, len(raw)))
        high = draw(st.integers(low, min(len(raw), low + 40)))
        how = draw(st.sampled_from(["cut", "put", "take", "double", "encoding", "odd"]))
        if how == "cut":
            raw = raw[:low]
        elif how == "put":
            raw = raw[:low] + draw(st.binary(max_size=12)) + raw[high:]
        elif how == "take":
            raw = raw[:low] + raw[high:]
        elif how == "double":
            raw = raw[:high] + raw[low:]
        elif how == "odd":
            odd = [
                b"\0",
                b"\r",
                b"\r\r\n",
                b'"',
                b"'",
                b"\xff",
                b"\xef\xbb\xbf",
                b"\xed\xa0\x80",
                b"{",
                b"[" * 200,
                b"&a *a",
                b"!!x ",
                b"---\n",
                b"...\n",
                b"\t",
                b"<<: ",
                b"? ",
                b"NaN",
                b"1e999",
                b"\xe2\x80\xae",
                b"9" * 5000,
                b"%",
            ]
            raw = raw[:low] + draw(st.sampled_from(odd)) + raw[low:]
        else:
            text = raw.decode("utf-8", "replace")
            raw = text.encode(
                draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"])), "replace"
            )
    return raw
