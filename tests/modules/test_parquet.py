"""A Parquet file that was half written is named, wherever it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelling.batches.artifact import read_batch
from modules.errors import InputError
from modules.predictions.read import PredictionFiles
from modules.reporting.labelling_batch import read_questions
from modules.similarity_quality.embeddings import read_embeddings
from modules.taxonomy import Taxonomy


def predictions(file: Path) -> None:
    files = PredictionFiles(file.parent.parent)
    files.products()
    list(files.scan(["id", "embedding"]))


READERS: dict[str, Callable[[Path], object]] = {
    "predictions": predictions,
    "labelling_batch": lambda file: read_batch(file.parent, "batch"),
    "questions": lambda file: read_questions(file.parent, Taxonomy([])),
    "embeddings": lambda file: read_embeddings(file),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("keep", ["nothing", "half", "all but the last byte", "another middle"])
def test_half_written_parquet(tmp_path: Path, read: Callable[[Path], object], keep: str) -> None:
    file = tmp_path / "Split-train" / "batch.parquet"
    file.parent.mkdir()
    ids = pa.array([f"p{i}" for i in range(2000)])
    vectors = pa.array([[0.5, float(i)] for i in range(2000)], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"id": ids, "embedding": vectors}), file, compression="zstd")
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "nothing": b"",
            "half": whole[:middle],
            "all but the last byte": whole[:-1],
            "another middle": whole[: middle - 1000] + b"\x11" * 2000 + whole[middle + 1000 :],
        }[keep]
    )
    with pytest.raises(InputError, match="batch.parquet"):
        read(file)
