"""What an older version left in a run's folder, written here as it looked then, is read as it was meant."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modules.errors import InputError
from modules.predictions.read import PredictionFiles
from modules.reporting.collect import training_of
from modules.settings.base import Settings
from modules.similarity.folder import read_manifest, settings_of
from modules.similarity.scann_index.settings import ScannSettings
from modules.similarity.version import check_version
from pipeline.checksums import Checksums


def objective(name: str, answer: pa.Array, column: str, top: list[float]) -> dict[str, pa.Array]:
    """The columns of one objective, two products, as they were."""
    ids = pa.array(["bags", "shoes"]).dictionary_encode()
    numbers: dict[str, Any] = {key: pa.array(np.float32(top)) for key in ("probability", "rest", "entropy", "margin")}
    return {
        f"{name}/category": pa.array(["Bags", "Shoes"]).dictionary_encode(),
        f"{name}/category_id": ids,
        f"{name}/ancestors": pa.array([["bags"], ["shoes"]]),
        f"{name}/classes": pa.array([[0, 1], [1, 0]], pa.list_(pa.int32(), 2)),
        f"{name}/probabilities": pa.array([[0.9, 0.1], [0.8, 0.2]], pa.list_(pa.float32(), 2)),
        f"{name}/least_confidence": pa.array(np.float32([0.1, 0.2])),
        **{f"{name}/{key}": values for key, values in numbers.items()},
        f"{name}/{column}": answer,
    }


def test_predictions_know_the_kinds_of_their_objectives(tmp_path: Path) -> None:
    labels = pa.array([["bags"], ["shoes", "bags"]])
    table = pa.table(
        {
            "id": pa.array(["p0", "p1"]),
            **objective("exclusive", pa.array([0, -1], pa.int32()), "label", [0.3, 0.7]),
            **objective("rule_based", labels, "assigned", [0.5, 0.5]),
            "rule_based/given": labels,
            "rules": pa.array([["r"], []], pa.list_(pa.string())),
            "embedding": pa.array([[0.0, 1.0], [1.0, 0.0]], pa.list_(pa.float32(), 2)),
        }
    )
    for split in ("train", "eval", "test"):
        (tmp_path / f"Split-{split}").mkdir()
        pq.write_table(table, tmp_path / f"Split-{split}" / "part-00000.parquet")
    files = PredictionFiles(tmp_path)
    assert files.kinds == {"exclusive": "exclusive", "rule_based": "multi_label"}
    assert files.objective(None) == "exclusive"


def test_facts_beside_a_model_have_the_keys_of_every_kind(tmp_path: Path) -> None:
    facts = {
        "format": 1, "workflow": "shop", "seed": 7, "features": {"title": {"kind": "text"}},
        "objectives": {"exclusive": {"kind": "exclusive"}},
        "model": {"kind": "linear", "text_input": "embedding_bag", "hidden": [256], "activation": "relu",
                  "dropout": 0.2, "input_dropout": 0.0, "normalization": "none", "l2": 0.0, "embedding_width": None,
                  "joint": [256], "modality_dropout": None},
        "training": {"solver": "liblinear", "liblinear_c": 2.0, "batch_size": 128, "epochs": 30, "monitor": "loss"},
        "result": {"epochs": 0, "best_epoch": 0, "seconds": 1.0, "history": {}}, "embedding_width": 128,
    }  # fmt: skip
    (tmp_path / "shelfmark.json").write_text(json.dumps(facts), "utf-8")
    training = training_of(tmp_path)
    assert training is not None
    shown = dict(training.facts)
    assert (shown["model"], shown["solver"]) == ("linear", "liblinear, C 2.0")


def test_checksums_are_compared(tmp_path: Path) -> None:
    artifact, record = tmp_path / "root/Transform/schema/6", tmp_path / "checksums/Transform/schema/6.json"
    artifact.mkdir(parents=True)
    record.parent.mkdir(parents=True)
    (artifact / "schema.pbtxt").write_bytes(b"feature {}\n")
    sha256 = hashlib.sha256(b"feature {}\n").hexdigest()
    record.write_text(json.dumps({"format": 1, "files": {"schema.pbtxt": {"bytes": 11, "sha256": sha256}}}) + "\n")
    assert Checksums(tmp_path / "root", tmp_path / "checksums").recorded(artifact)
    assert Checksums(tmp_path / "root", tmp_path / "checksums").damage(artifact) is None
    (artifact / "schema.pbtxt").write_bytes(b"feature []\n")
    damage = Checksums(tmp_path / "root", tmp_path / "checksums").damage(artifact)
    assert damage is not None and "checksum" in damage.what


MANIFEST: dict[str, Any] = {
    "format": "shelfmark index", "kind": "scann", "embedding": {"model": "5a83", "column": "embedding"},
    "dimension": 2, "count": 3, "facts": {"quality": []}, "version": 2,
    "settings": {"min_products": 20, "leaves": None, "scoring": "vectors", "quantisation": "int8", "mapped": False,
                 "anisotropic": 0.2, "sample": 100000, "build_memory": 2147483648, "rebuild_share": 0.2, "efforts": []},
}  # fmt: skip


def index(folder: Path, **changes: Any) -> Path:
    """A pushed version with one index, without a ``version.json``: older versions wrote none."""
    (folder / "joint").mkdir(parents=True)
    (folder / "joint" / "vectors.npy").write_bytes(b"numbers")
    files = {"vectors.npy": {"sha256": hashlib.sha256(b"numbers").hexdigest(), "bytes": 7}}
    (folder / "joint" / "manifest.json").write_text(json.dumps({**MANIFEST, "files": files, **changes}), "utf-8")
    return folder


def test_a_pushed_index_is_read(tmp_path: Path) -> None:
    folder = index(tmp_path / "1795957667")
    check_version(folder)
    manifest = read_manifest(folder / "joint")
    settings: Settings = settings_of(ScannSettings, manifest, folder / "joint")
    assert (manifest.count, settings.model_dump()["min_products"]) == (3, 20)
    (folder / "joint" / "vectors.npy").write_bytes(b"numbeRs")
    with pytest.raises(InputError):
        read_manifest(folder / "joint")


def test_an_index_of_another_format_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    for version in (1, 3):
        folder = index(tmp_path / str(version), version=version)
        with pytest.raises(
            InputError, match="format version 2; build the index again with `shelfmark run --from ScannIndex`"
        ):
            read_manifest(folder / "joint")
