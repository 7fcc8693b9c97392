"""What a feed says about which of its products belong together."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import orjson

from modules.demo.write import TRUTH
from modules.errors import InputError, Problem
from modules.feeds.files import format_of
from modules.feeds.ids import IdSpace
from modules.feeds.mapping import Mapper
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable, getter
from modules.settings.feed import FieldSettings

if TYPE_CHECKING:
    from modules.similarity_quality.compare import ReferenceLabels
    from pipeline.workflow_file import LoadedWorkflow

_KEPT = ("id", "truth")


def read_similarity_labels(
    loaded: LoadedWorkflow, cluster: str | None = None, link: str | None = None
) -> ReferenceLabels:
    """Reads the feed's true categories and the two columns; the demo's categories lie in a file beside its feed.

    Args:
      cluster: column (dotted where nested) that is the same for offers of the same product.
      link: column of a photo that has the id of its product.

    Raises:
      InputError: a file is missing or broken, or no record has a column that was named.
    """
    import pyarrow as pa

    from modules.similarity_quality.compare import ReferenceLabels

    # Parquet reads mapped columns alone: the two stand in the place of fields that nobody asks for here.
    extra = dict(zip(("brand", "color"), (cluster, link), strict=True))
    fields = {name: None for name in FieldSettings.model_fields if name not in _KEPT} | extra
    sources = [
        source.model_copy(update={"fields": source.fields.model_copy(update=fields)})
        for source in loaded.workflow.sources
    ]
    mappers = list(map(Mapper, sources))
    getters = [getter(column) if column else None for column in (cluster, link)]
    columns: tuple[list[str], list[str | None], list[str | None], list[str | None]] = ([], [], [], [])
    for path, number in loaded.feed_files():
        mapper, source = mappers[number], sources[number]
        for record in read_records(path, format_of(path, source), source):
            if isinstance(record, BadRecord) or not isinstance(record.data, dict):
                continue
            try:
                columns[0].append(mapper.id(record.data))
            except NotUsable:
                continue
            columns[1].append(" > ".join(mapper.truth(record.data)) or None)
            spaces = (None, IdSpace.of(source))
            for values, get, space in zip(columns[2:], getters, spaces, strict=True):
                text = _text(get(record.data)) if get else None
                # A link is the id of a product of the same feed; what clusters offers spans feeds.
                values.append(text if text is None or space is None else space.product_id(text))
    for option, column, values in (("--cluster", cluster, columns[2]), ("--link", link, columns[3])):
        if column is not None and not any(values):
            raise InputError(Problem(option, "a column of the feed that has values", value=column))
    if loaded.workflow.feed.demo is not None and not any(columns[1]):
        known = _demo_truth(loaded)
        columns[1][:] = [known.get(name) for name in columns[0]]
    ids, leaves, clusters, links = (pa.array(values, pa.string()) for values in columns)
    return ReferenceLabels(ids, leaves, clusters, links)


def _demo_truth(loaded: LoadedWorkflow) -> dict[str, str]:
    path = loaded.folder / TRUTH
    if not path.is_file():
        return {}
    with gzip.open(path) as lines:
        return {row["id"]: row["category"] for row in map(orjson.loads, lines)}


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None
