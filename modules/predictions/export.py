"""Delivers predictions to other programs, by way of a sink."""

from __future__ import annotations

from pathlib import Path

from modules.predictions.read import PredictionFiles, Query
from modules.predictions.sinks import sink_for
from modules.predictions.sinks.base import Delivery
from modules.taxonomy import Taxonomy


def export(files: PredictionFiles, query: Query, taxonomy: Taxonomy, output: str | Path) -> int:
    """Writes the products that the query asks for.

    Args:
      taxonomy: of the run that made the predictions.
      output: a file or an address, see :func:`modules.predictions.sinks.sink_for`.

    Returns:
      The number of products that the target then has.

    Raises:
      InputError: no sink is for ``output``, an objective or split is unknown, or the target cannot be written.
    """
    kind = sink_for(str(output))
    sink = kind(str(output), Delivery(files, query, taxonomy))
    try:
        count = sink.start()
        for table in sink.delivery.tables(sink.columns(), skip=count):
            sink.write(table)
            count += table.num_rows
        sink.finish()
    except BaseException:
        sink.abort()
        raise
    return count
