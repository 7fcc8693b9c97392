"""ScannIndex on predictions as Predictor writes them: artifact, properties, blessing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tfx.types import standard_artifacts

from components.artifact_types import Predictions, ProductTaxonomy, Record, SimilarityIndex
from components.record import properties_of
from components.scann_index.executor import ScannIndexExecutor
from components.scann_index.quality import quality_of
from modules.errors import InputError
from modules.examples import TAXONOMY_FILE
from modules.predictions.columns import embedding_column
from modules.settings.workflow import Workflow
from modules.similarity import make
from modules.similarity.catalogue import Catalogue
from modules.similarity.identity import fingerprint
from modules.similarity.items import Embedding, column
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.quality import Quality, tune_and_measure
from modules.taxonomy import Taxonomy
from tests.modules.similarity.shops import clustered

TREE = Taxonomy.from_paths(
    ["Shoes > Boots > Chelsea", "Shoes > Boots > Rain", "Shoes > Sandals", "Bags > Totes > Small", "Bags", "Hats"]
)
SPLITS = {"train": 900, "eval": 200, "test": 300}


def predicted(folder: Path, width: int = 16) -> None:
    """Predictions of three splits; every 50th product has no embedding, some have a category of another taxonomy."""
    paths = [category.id for category in TREE]
    first = 0
    for number, (split, count) in enumerate(SPLITS.items()):
        rng = np.random.default_rng(number)
        vectors = clustered(count, width, number)
        vectors[::50] = 0
        nodes = pa.array([paths[i] if i < len(paths) else "gone" for i in rng.integers(len(paths) + 1, size=count)])
        table = pa.table(
            {
                "id": [f"p{first + i}" for i in range(count)],
                "title": [f"title {first + i}" for i in range(count)],
                "retailer": ["" if i % 9 == 0 else f"shop {i % 3}" for i in range(count)],
                "availability": ["in stock" if i % 2 else "" for i in range(count)],
                "price": np.where(rng.random(count) < 0.2, np.nan, rng.random(count) * 90).astype(np.float32),
                "exclusive/category_id": nodes.dictionary_encode(),
                "exclusive/label": np.full(count, -1, np.int32),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width),
            }
        )
        (folder / f"Split-{split}").mkdir(parents=True)
        pq.write_table(table, folder / f"Split-{split}" / "part-0.parquet")
        first += count


def workflow(**index: Any) -> str:
    settings = {"min_products": 300, "k": 10, "queries": 200, "neighbours": 10, **index}
    data = {"name": "t", "similarity": {"indexes": {"joint": settings}}}
    return Workflow.model_validate({**data, "rules": {"file": None}}).model_dump_json(
        include={"name", "seed", "objectives", "similarity"}
    )


@pytest.fixture
def artifacts(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    predictions, model, taxonomy, output, record = (
        Predictions(),
        standard_artifacts.Model(),
        ProductTaxonomy(),
        SimilarityIndex(),
        Record(),
    )
    for name, artifact in {"predictions": predictions, "model": model, "taxonomy": taxonomy, "out": output}.items():
        artifact.uri = str(tmp_path / name)
    predicted(tmp_path / "predictions")
    (tmp_path / "model" / "Format-Serving").mkdir(parents=True)
    (tmp_path / "model" / "Format-Serving" / "saved_model.pb").write_bytes(b"weights")
    (tmp_path / "taxonomy").mkdir()
    TREE.write(tmp_path / "taxonomy" / TAXONOMY_FILE)
    inputs = {"predictions": [predictions], "model": [model], "taxonomy": [taxonomy]}
    return inputs, {"similarity_index": [output], "index_record": [record]}


def measured(outputs: dict[str, Any], name: str = "joint") -> tuple[list[dict[str, Any]], list[str]]:
    """Quality and reasons, as ML Metadata alone has them."""
    index, record = (properties_of(outputs[key][0].mlmd_artifact) for key in ("similarity_index", "index_record"))
    return quality_of(name, index, record)


def test_artifact_and_properties(artifacts) -> None:
    inputs, outputs = artifacts
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": workflow()})
    output = outputs["similarity_index"][0]
    folder, identity = Path(output.uri), fingerprint(Path(inputs["model"][0].uri) / "Format-Serving")
    assert {path.name for path in folder.iterdir()} == {"joint", "neighbours", TAXONOMY_FILE}
    index = ScannIndex.load(folder / "joint", Embedding(identity, "embedding"))
    with pytest.raises(InputError, match="cannot be compared"):
        ScannIndex.load(folder / "joint", Embedding("another model", "embedding"))
    assert len(index) == 1400 == output.get_int_custom_property("joint/products")
    # Partitions: categories of level 2; those above are their own; "" is what the taxonomy does not have.
    sizes = {one.name: one.end - one.start for one in index.partitions}
    level_2 = {TREE.find(text).id for text in ("Shoes > Boots", "Shoes > Sandals", "Bags > Totes")}
    assert set(sizes) == level_2 | {TREE.find(text).id for text in ("Shoes", "Bags", "Hats")} | {""}
    category = column(index.rows.table, "category").to_numpy()
    for one in index.partitions:
        for node in np.unique(category[one.start : one.end]).tolist():
            line = [] if node < 0 else [c.id for c in TREE.ancestors(list(TREE)[node])] + [list(TREE)[node].id]
            assert one.name == (line[:2][-1] if line else "")
    # Every row has its own vector, texts and price.
    source = pa.concat_tables(
        pq.read_table(Path(inputs["predictions"][0].uri) / f"Split-{split}" / "part-0.parquet") for split in SPLITS
    )
    row = {id: i for i, id in enumerate(source.column("id").to_pylist())}
    order = [row[id] for id in index.ids.to_pylist()]
    assert sorted(order) == list(range(1400))
    vectors = source.column("embedding").combine_chunks().flatten().to_numpy().reshape(-1, 16)[order]
    np.testing.assert_allclose(index.rows.base.vectors, vectors, atol=1e-3)
    for name in ("title", "price"):
        mine, theirs = index.rows.table.column(name).to_pylist(), source.column(name).take(pa.array(order)).to_pylist()
        assert [x for x in mine if x == x] == [x for x in theirs if x == x]
    retailers = source.column("retailer").take(pa.array(order)).to_pylist()
    assert column(index.rows.table, "retailer").to_pylist() == [text or None for text in retailers]
    # What was measured.
    assert output.get_int_custom_property("blessed") == 1 and output.get_int_custom_property("joint/blessed") == 1
    assert output.get_float_custom_property("joint/recall") > 0.9
    quality, reasons = measured(outputs)
    assert quality == index.facts["quality"] and reasons == []
    assert not any(
        part.name and part.name in name for name in properties_of(output.mlmd_artifact) for part in index.partitions
    )
    boots = next(one for one in quality if one["name"] == TREE.find("Shoes > Boots").id)
    assert boots["method"] == "scann" and boots["products"] == sizes[boots["name"]] and boots["recall"] > 0.9
    assert index.facts["quality"][0]["name"] == "global" and index.facts["blessed"] is True
    lines, ids = pq.read_table(folder / "neighbours" / "joint.parquet").column("id").to_pylist(), index.ids.to_pylist()
    for one in index.partitions:
        assert sorted(lines[one.start : one.end]) == sorted(ids[one.start : one.end])
    # The server opens what the component wrote.
    catalogue = Catalogue.open(folder)
    assert catalogue.methods == ("joint",) and catalogue.taxonomy == TREE


@pytest.mark.parametrize(
    ("settings", "scoring"),
    [
        ({}, "vectors"),
        ({"scoring": "codes"}, "codes"),
        ({"reorder": 60}, "codes"),
        ({"quantisation": "bfloat16"}, "codes"),
    ],
)
def test_settings_of_codes_are_followed(artifacts, settings: dict[str, Any], scoring: str) -> None:
    inputs, outputs = artifacts
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": workflow(**settings)})
    index = ScannIndex.load(Path(outputs["similarity_index"][0].uri) / "joint")
    assert index.settings.scoring == scoring and index.whole is not None
    assert index.whole.efforts[0].reorder == settings.get("reorder", index.whole.efforts[0].reorder)
    assert index.settings.quantisation == settings.get("quantisation", "int8")
    with pytest.raises(ValueError, match="with scoring: vectors, where nothing is scored again"):
        workflow(scoring="vectors", reorder=60)


def test_what_is_measured_is_what_was_saved(artifacts, monkeypatch) -> None:
    inputs, outputs = artifacts
    folder = Path(outputs["similarity_index"][0].uri) / "joint"
    measured = []

    def spy(index: ScannIndex, **how: Any) -> list[Quality]:
        vectors = index.rows.base.vectors
        assert isinstance(vectors, np.memmap) and Path(vectors.filename) == folder / "vectors.npy"
        assert [path.name for path in folder.parent.iterdir()] == ["joint"], "what it was built from is gone"
        measured.append(index)
        return tune_and_measure(index, **how)

    monkeypatch.setattr(make, "tune_and_measure", spy)
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": workflow()})
    (index,) = measured
    saved = ScannIndex.load(folder)
    assert saved.whole is not None and index.whole is not None
    assert saved.whole.efforts == index.whole.efforts and saved.whole.efforts[0].k == 10
    trees = [[one.searcher and one.searcher.efforts for one in some.partitions] for some in (saved, index)]
    assert trees[0] == trees[1] and any(trees[0])


def test_below_the_threshold_it_is_not_blessed(artifacts) -> None:
    inputs, outputs = artifacts
    settings = workflow(leaves_to_search=1, reorder=10, min_recall=0.9, partition_level=0, neighbours=0)
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": settings})
    output = outputs["similarity_index"][0]
    assert output.get_int_custom_property("blessed") == 0
    (reason,) = measured(outputs)[1]
    assert reason.startswith("global: recall@10 0.") and "needed 0.9" in reason
    assert not (Path(output.uri) / "neighbours").exists()


def test_an_embedding_that_the_model_does_not_make_is_said(artifacts) -> None:
    inputs, outputs = artifacts
    settings = json.loads(workflow())
    settings["similarity"]["indexes"]["joint"]["embedding"] = "image"
    with pytest.raises(InputError, match="an embedding that the model makes: joint"):
        ScannIndexExecutor().Do(inputs, outputs, {"workflow": json.dumps(settings)})


def test_predictions_of_an_older_version_have_neither_price_nor_availability(artifacts) -> None:
    inputs, outputs = artifacts
    for file in Path(inputs["predictions"][0].uri).glob("*/*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["price", "availability"]), file)
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": workflow(neighbours=0)})
    index = ScannIndex.load(Path(outputs["similarity_index"][0].uri) / "joint")
    assert np.isnan(column(index.rows.table, "price").to_numpy()).all()
    assert column(index.rows.table, "availability").null_count == 1400


@pytest.mark.parametrize("scoring", ["vectors", "codes"])
@pytest.mark.parametrize(("searched", "pictured"), [("image", 0), ("image", 3), ("image", 400), ("meaning", 400)])
def test_several_indexes_in_one_run(artifacts, scoring: str, searched: str, pictured: int) -> None:
    """By both, and by image or a feature; few products have that, and in a partition maybe none."""
    inputs, outputs = artifacts
    pictures = {}
    for file in sorted(Path(inputs["predictions"][0].uri).glob("*/*.parquet")):
        table = pq.read_table(file)
        vectors = clustered(len(table), 24, len(table))
        vectors[pictured if file.parent.name == "Split-train" else 0 :] = 0
        own = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 24)
        pq.write_table(table.append_column(embedding_column(searched), own), file)
        pictures |= dict(zip(table.column("id").to_pylist(), vectors, strict=True))
    settings = json.loads(workflow(scoring=scoring))
    joint = settings["similarity"]["indexes"]["joint"]
    settings["similarity"]["indexes"]["looks"] = {**joint, "embedding": searched, "min_products": 200}
    ScannIndexExecutor().Do(inputs, outputs, {"workflow": json.dumps(settings)})
    output = outputs["similarity_index"][0]
    folder = Path(output.uri)
    assert json.loads(output.get_string_custom_property("indexes")) == ["joint", "looks"]
    assert output.get_int_custom_property("looks/products") == output.get_int_custom_property("joint/products") == 1400
    identity = fingerprint(Path(inputs["model"][0].uri) / "Format-Serving")
    index = ScannIndex.load(folder / "looks", Embedding(identity, embedding_column(searched)))
    assert Catalogue.open(folder).methods == ("joint", "looks")
    lines = pq.read_table(folder / "neighbours" / "looks.parquet").to_pylist()
    there = {name for name, vector in pictures.items() if vector.any()}
    assert len(there) == pictured and len(lines) == 1400
    category = dict(zip(index.ids.to_pylist(), column(index.rows.table, "category").to_pylist(), strict=True))
    for line in lines:
        assert set(line["neighbours"]) <= there - {line["id"]}
        assert bool(line["neighbours"]) <= (line["id"] in there)
    if pictured == 3:
        names = sorted(there)
        same = [one for one in names if any(category[one] == category[o] for o in names if o != one)]
        assert {line["id"] for line in lines if line["neighbours"]} >= set(same)
