"""What a day adds to a published version of the indexes: a layer over it, which is a version, too.

A layer is small: ``daily.json`` names the version that it lies over, its base, and a folder per index holds the new and
changed products and the ids that the base has no longer as they are. Servers take a layer as they take any version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from pydantic import Field, TypeAdapter, ValidationError

from modules.errors import InputError, Problem, reason
from modules.examples import ID
from modules.similarity.changes import Rows
from modules.similarity.folder import files_of, indexes_in, map_table, read_manifest, write_table
from modules.similarity.items import Items
from modules.similarity.layered import LayeredIndex
from modules.similarity.loading import rows_of
from modules.similarity.protocol import Index
from modules.similarity.version import VERSION_FILE, version_text

DAILY_FILE = "daily.json"
_OUTDATED = "outdated.arrow"
_AGAIN = "repeat `shelfmark predict`, which writes it anew"


@dataclass(frozen=True)
class DailyVersion:
    """What ``daily.json`` says of a version that a day has made.

    Attributes:
      run: whose published model predicted. model: its fingerprint.
      base: name of the version beside this one that it is a layer over; None: it was built anew, and is whole.
    """

    run: str
    model: str
    base: Annotated[str, Field(pattern=r"^[0-9]+$")] | None


_DAILY = TypeAdapter(DailyVersion)


def read_daily(folder: Path) -> DailyVersion | None:
    """What the version's ``daily.json`` says; None: no day has made this version.

    Raises:
      InputError: the file is damaged.
    """
    path = folder / DAILY_FILE
    try:
        return _DAILY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = reason(error) if isinstance(error, OSError) else error.errors(include_url=False)[0]["msg"]
        raise InputError(Problem(str(path), f"expected what a day's index is made of ({why})", hint=_AGAIN)) from None


def base_of(folder: Path) -> Path | None:
    """The version that this one is a layer over; None: it is no layer.

    Raises:
      InputError: as :func:`read_daily`, or the base is gone.
    """
    daily = read_daily(folder)
    if daily is None or daily.base is None:
        return None
    base = folder.parent / daily.base
    below = read_daily(base)
    if not base.is_dir() or (below is not None and below.base is not None):
        raise InputError(Problem(str(base), f"expected the whole version that {folder.name} lies over", hint=_AGAIN))
    return base


def model_of_version(folder: Path) -> str | None:
    """Fingerprint of the model whose embeddings a whole version holds; None: it holds no index.

    Raises:
      InputError: a manifest is damaged.
    """
    for index in indexes_in(folder).values():
        return read_manifest(index, verify=False).embedding.model
    return None


def seal(folder: Path, daily: DailyVersion) -> None:
    """Writes ``daily.json``, and the list of files that makes the version whole."""
    (folder / DAILY_FILE).write_bytes(_DAILY.dump_json(daily, indent=1) + b"\n")
    (folder / VERSION_FILE).write_text(version_text(files_of(folder)), encoding="utf-8")


def write_layer(folder: Path, daily: DailyVersion, newer: Mapping[str, Items], outdated: pa.Array) -> None:
    """Writes a layer into an empty folder.

    Args:
      newer: index to the products that came or changed. outdated: ids that the base does not show as they are.

    Raises:
      InputError: an id is there twice, or a vector is not finite.
    """
    for name, items in newer.items():
        place = folder / name
        place.mkdir()
        Rows.of(items).write(place)
        write_table(place / _OUTDATED, pa.table({ID: outdated}))
    seal(folder, daily)


def layer_over(base: Index, folder: Path) -> LayeredIndex:
    """The index with what :func:`write_layer` wrote for it.

    Raises:
      InputError: the layer has nothing for this index, or it is damaged.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "expected a layer for each index of its base", hint=_AGAIN))
    below = rows_of(base).base
    newer = Rows.map(folder, below.embedding, below.dimension).base
    return LayeredIndex(base, newer, map_table(folder / _OUTDATED).column(ID).to_pylist())
