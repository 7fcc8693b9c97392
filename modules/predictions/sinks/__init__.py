"""Where predictions go. A kind is a file of this folder and a line of :data:`SINKS`, or an entry point."""

from __future__ import annotations

import os

from modules.errors import InputError, Problem
from modules.plugins import Kinds
from modules.predictions.sinks.base import Sink
from modules.predictions.sinks.csv import CsvSink
from modules.predictions.sinks.jsonl import JsonLinesSink
from modules.predictions.sinks.parquet import ParquetSink

SINKS: Kinds[Sink] = Kinds(
    "shelfmark.sinks",
    "sink",
    Sink,  # type: ignore[type-abstract]
    {"csv": CsvSink, "jsonl": JsonLinesSink, "parquet": ParquetSink},
)


def sink_for(target: str) -> type[Sink]:
    """The sink that writes to ``target``: by its scheme, or by the ending of its name.

    Raises:
      InputError: there is none, or the distribution that provides it cannot be imported.
    """
    scheme, separator, _ = target.partition("://")
    name = scheme if separator else os.path.splitext(target)[1].removeprefix(".")
    if name in SINKS.names():
        return SINKS.get(name)
    expected = f"expected a name that ends in {', '.join(f'.{name}' for name in SINKS.builtin)}"
    others = [name for name in SINKS.names() if name not in SINKS.builtin]
    expected += "".join(f", .{name} or begins with {name}://" for name in others)
    raise InputError(Problem("", expected, key="--output", value=target, hint=SINKS.unknown(name).hint))
