"""ClassMetrics' executor, and its artifact's way into ML Metadata."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.class_metrics.files import read_figures
from components.class_metrics.properties import figures_of, overall
from components.record import properties_of
from tests.components import evaluation_data as small


def _outputs(evaluation: str, thresholds: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    """``metrics``, its files in ``folder``, and the record beside it."""
    import tfx.v1  # noqa: F401

    from components import CategoryMetrics, Record
    from components.class_metrics.executor import write
    from components.evaluation.reading import read_evaluation

    metrics, record = CategoryMetrics(), Record()
    metrics.uri, record.uri = str(folder / "metrics"), "/gone"
    write(metrics, record, read_evaluation(evaluation)[0], small.objective_evals(), thresholds)
    return metrics, record


def test_overall_figures_are_properties_and_categories_are_files(
    evaluation: str, thresholds: dict[str, Any], tmp_path: Path
) -> None:
    from components.evaluation.figures import COLUMNS
    from components.evaluation.reading import read_evaluation

    metrics, record = _outputs(evaluation, thresholds, tmp_path)
    overall = read_evaluation(evaluation)[0]
    assert metrics.type_name == "components.CategoryMetrics" and record.type_name == "components.Record"
    table = pq.read_table(tmp_path / "metrics" / "categories.parquet").to_pylist()
    rows = {(row["objective"], row["category"]): row for row in table}
    assert len(rows) == len(table)
    properties = {}
    for objective, values in overall.values.items():
        properties |= {f"{objective}/{name}": value for name, value in values.items() if np.isfinite(value)}
        columns = dict(zip(COLUMNS, overall.categories[objective], strict=True))
        for i, (category, path) in enumerate(small.CLASSES):
            if np.isnan(columns["f1"][i]):
                assert (objective, category) not in rows
                continue
            found = rows[objective, category]
            assert found["path"] == path
            # Figure by figure, to the last bit; what is not defined is null.
            for name, values in columns.items():
                assert found[name] == (values[i] if np.isfinite(values[i]) else None)
    # Nothing but the overall figures: what grows with the categories would keep steps from starting.
    assert properties_of(metrics.mlmd_artifact) == properties
    failed = json.loads((tmp_path / "metrics" / "failed.json").read_text())
    assert {row["path"]: row["bound"] for row in failed["exclusive"]} == {
        "Shoes > Boots": 0.99, "(categories with few labels, together)": 0.999,
    }  # fmt: skip
    assert "tags" not in failed
    # The record says the same to six digits.
    known, written = figures_of({}, properties_of(record.mlmd_artifact)), read_figures(tmp_path / "metrics")
    assert [(c.objective, c.id, c.path) for c in known.categories] == [
        (c.objective, c.id, c.path) for c in written.categories
    ]
    for one, other in zip(known.categories, written.categories, strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-5)
    assert known.failed["exclusive"] == [
        {**row, "f1": pytest.approx(row["f1"], rel=1e-5)} for row in written.failed["exclusive"]
    ]


def test_an_evaluation_of_other_classes_is_refused(evaluation: str) -> None:
    from components.class_metrics.executor import category_figures
    from components.evaluation.objectives import ObjectiveEval
    from components.evaluation.reading import read_evaluation

    other = ObjectiveEval("exclusive", "exclusive", small.CLASSES[:3])
    overall = read_evaluation(evaluation)[0]
    with pytest.raises(ValueError, match="has 7 classes, the workflow 3"):
        category_figures(overall, [other], {})


def test_the_executor_takes_the_categories_from_the_taxonomy(evaluation: str, tmp_path: Path) -> None:
    import tfx.v1  # noqa: F401
    from tfx.types import standard_artifacts

    from components import CategoryMetrics, ProductTaxonomy, Record
    from components.class_metrics.executor import ClassMetricsExecutor
    from components.class_metrics.properties import FIGURES, unpack_figures
    from modules.examples import TAXONOMY_FILE
    from modules.taxonomy import Taxonomy

    paths = [tuple(path.split(" > ")) for path in small.PATHS]
    tree = Taxonomy.from_paths(paths, exclusive="given")
    tree.write(str(tmp_path / TAXONOMY_FILE))
    given, taxonomy = standard_artifacts.ModelEvaluation(), ProductTaxonomy()
    metrics, record = CategoryMetrics(), Record()
    given.uri, taxonomy.uri, metrics.uri, record.uri = evaluation, str(tmp_path), str(tmp_path / "metrics"), "/gone"
    objectives = {"exclusive": {"kind": "exclusive"}}
    bounds: dict[str, Any] = {"thresholds": {"exclusive": {"every_category_f1": 1.0, "category_min_support": 1}}}
    bounds["disparity"] = ["retailer"]
    part = json.dumps({"name": "shop", "objectives": objectives, "evaluation": bounds})
    outputs = {"metrics": [metrics], "metrics_record": [record]}
    ClassMetricsExecutor().Do({"evaluation": [given], "taxonomy": [taxonomy]}, outputs, {"workflow": part})
    assert metrics.has_custom_property("exclusive/accuracy") and not metrics.has_custom_property("tags/micro_f1")
    from components.evaluation.reading import read_evaluation
    from modules.metrics.disparity import disparities

    values = overall(properties_of(metrics.mlmd_artifact))["exclusive"]
    (disparity,) = disparities(values)
    sliced = {item.name: item.values["exclusive"] for item in read_evaluation(evaluation)[1:]}
    assert {f"retailer:{own.name}": (own.products, own.rate.value, own.rate.upper) for own in disparity.slices} == {
        name: (own["example_count"], own["accuracy"], own["accuracy/upper"]) for name, own in sliced.items()
    }
    rates = [own["accuracy"] for own in sliced.values() if own["example_count"] >= 30]
    assert len(rates) > 1 and values["disparity_ratio/retailer/accuracy"] == min(rates) / max(rates)
    found = unpack_figures(record.get_string_custom_property(FIGURES))
    assert {row["path"] for row in found.failed["exclusive"]} <= set(small.PATHS) and found.failed["exclusive"]
    assert {one.path for one in found.categories} <= set(small.PATHS) and found.categories


def test_a_folder_without_evaluation_is_refused(tmp_path: Path) -> None:
    import tfx.v1  # noqa: F401

    from components.evaluation.reading import read_evaluation

    with pytest.raises(ValueError, match="there is no evaluation"):
        read_evaluation(str(tmp_path))


def test_ml_metadata_alone_answers(evaluation: str, thresholds: dict[str, Any], store_uri: str, tmp_path: Path) -> None:
    """The artifacts as TFX writes them, read back by the queries; their folders are gone."""
    from ml_metadata.metadata_store import metadata_store

    from components.class_metrics import queries
    from tests.components.test_queries import put

    metrics, record = _outputs(evaluation, thresholds, tmp_path)
    shutil.rmtree(tmp_path / "metrics")
    store = metadata_store.MetadataStore(queries.connection_config(store_uri))
    put(store, "run-1", metrics.mlmd_artifact, properties_of(record.mlmd_artifact))
    found = queries.latest_metrics(queries.open_store(store_uri), "shop")
    # ML Metadata keeps 6 digits of a number on SQLite.
    accuracy = metrics.get_float_custom_property("exclusive/accuracy")
    assert found.values["exclusive"]["accuracy"] == pytest.approx(accuracy, rel=1e-5)
    assert next(row["path"] for row in found.failed["exclusive"]).startswith(("Shoes", "(cat"))
    assert {item.path for item in found.categories} <= set(small.PATHS) and len(found.categories) > 7
