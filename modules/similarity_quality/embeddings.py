"""Embeddings to compare, from wherever they lie: a run's predictions, a Parquet file, an index, or npy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from modules.arrays import Float32Array
from modules.errors import InputError, Problem, reason
from modules.examples import SPLIT_FOLDER
from modules.predictions.columns import ID, MODEL_EMBEDDINGS, embedding_name, embeddings_in
from modules.similarity.changes import Rows, unit
from modules.similarity.folder import MANIFEST, read_manifest

_BATCH = 1 << 14


@dataclass(frozen=True)
class Embedded:
    """Products with one embedding.

    Attributes:
      name: for people. source: the file or folder.
      ids: different from each other.
      vectors: float32 (n, d), rows of unit length; a row of zeros has no embedding.
    """

    name: str
    source: str
    ids: pa.Array
    vectors: Float32Array


def read_embeddings(path: str | Path, name: str = "", columns: Sequence[str] = ()) -> list[Embedded]:
    """Reads embeddings.

    Args:
      path: a folder of predictions (``Split-*/*.parquet``), a Parquet file with ``id`` and embeddings, the folder of an
        index, or ``X.npy`` with ``X.txt``, an id a line, beside it.
      name: of the embedding; where there are several columns, each one's is added.
      columns: of the Parquet files; default: those of Predictor that there are.

    Raises:
      InputError: there is nothing of that kind, a column is missing, ids repeat, or a vector is not finite.
    """
    path = Path(path)
    name = name or path.stem
    if path.suffix == ".npy":
        return [_npy(path, name)]
    if (path / MANIFEST).is_file():
        return [_index(path, name)]
    files = sorted(path.glob(f"{SPLIT_FOLDER}*/*.parquet")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        expected = "predictions (Split-*/*.parquet), a Parquet file, an index' folder or an .npy file"
        raise InputError(Problem(str(path), expected))
    return _parquet(path, files, name, columns)


def _parquet(path: Path, files: Sequence[Path], name: str, columns: Sequence[str]) -> list[Embedded]:
    try:
        data = ds.dataset([str(file) for file in files], format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise InputError(Problem(str(path), f"readable Parquet files ({reason(error)})")) from None
    available = [column for column in columns or embeddings_in(data.schema.names) if column in data.schema.names]
    missing = [column for column in columns if column not in available]
    if missing or not available or ID not in data.schema.names:
        wanted = ", ".join(columns) if columns else f"one of {', '.join(MODEL_EMBEDDINGS.values())}"
        expected = f"columns {ID} and {wanted}; there are {', '.join(data.schema.names[:30])}"
        raise InputError(Problem(str(path), expected, key=missing[0] if missing else ""))
    ids: list[pa.Array] = []
    parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in available}
    try:
        for batch in data.to_batches(columns=[ID, *available], batch_size=_BATCH, batch_readahead=2):
            ids.append(batch.column(ID).cast(pa.string()))
            for column in available:
                parts[column].append(_matrix(batch.column(column), path, column))
    except (pa.ArrowException, OSError) as error:
        raise InputError(Problem(str(path), f"readable Parquet files ({reason(error)})")) from None
    every = pa.concat_arrays(ids) if ids else pa.array([], pa.string())
    result = []
    for column in available:
        widths = {part.shape[1] for part in parts[column] if len(part)}
        if len(widths) > 1:
            raise InputError(Problem(str(path), "vectors of one length", key=column, value=str(sorted(widths))))
        full = [part for part in parts[column] if len(part)]
        vectors = np.concatenate(full) if full else np.zeros((0, 1), np.float32)
        title = embedding_name(column)
        result.append(
            _checked(name if len(available) == 1 else f"{name}: {title}", f"{path}, {column}", every, vectors)
        )
    return result


def _matrix(values: pa.Array, path: Path, column: str) -> npt.NDArray[Any]:
    """A list column as (n, d)."""
    if not (pa.types.is_fixed_size_list(values.type) or pa.types.is_list(values.type)):
        raise InputError(Problem(str(path), "lists of numbers", key=column, value=str(values.type)))
    flat = values.flatten()
    if values.null_count or flat.null_count or not pa.types.is_floating(flat.type):
        raise InputError(Problem(str(path), "lists of numbers, none missing", key=column, value=str(values.type)))
    if len(values) == 0:
        return np.zeros((0, 1), np.float32)
    width, rest = divmod(len(flat), len(values))
    even = pa.types.is_fixed_size_list(values.type) or pc.all(pc.equal(pc.list_value_length(values), width)).as_py()
    if rest or not width or not even:
        raise InputError(Problem(str(path), "vectors of one length", key=column))
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), width)


def _npy(path: Path, name: str) -> Embedded:
    beside = path.with_suffix(".txt")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        ids = beside.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        missing = str(error.filename)
        expected = "an id a line" if missing == str(beside) else "an .npy file"
        raise InputError(Problem(missing, f"{expected}; there is no such file")) from None
    except (OSError, ValueError) as error:
        raise InputError(Problem(str(path), f"a readable .npy file, and its ids beside it ({reason(error)})")) from None
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise InputError(Problem(str(path), "floats of shape (products, dimensions)", value=str(vectors.shape)))
    if len(ids) != len(vectors):
        raise InputError(Problem(str(beside), f"{len(vectors):,} ids, as there are vectors", value=f"{len(ids):,}"))
    return _checked(name, str(path), pa.array(ids, pa.string()), vectors)


def _index(path: Path, name: str) -> Embedded:
    manifest = read_manifest(path)
    rows = Rows.map(path, manifest.embedding, manifest.dimension)
    alive = np.flatnonzero(rows.alive)
    vectors = np.concatenate([rows.base.vectors, rows.added])[alive]
    return _checked(name, str(path), rows.ids.take(pa.array(alive)), vectors)


def _checked(name: str, source: str, ids: pa.Array, vectors: npt.NDArray[Any]) -> Embedded:
    if pc.count_distinct(ids).as_py() != len(ids):
        raise InputError(Problem(source, "ids that differ from each other", key="id"))
    if not np.isfinite(vectors).all():
        raise InputError(Problem(source, "finite numbers"))
    return Embedded(name, source, ids, unit(vectors))
