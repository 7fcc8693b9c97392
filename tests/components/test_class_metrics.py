"""ClassMetrics' executor, and its artifact's way into ML Metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components import evaluation_data as small


def _artifact(evaluation: str, thresholds: dict[str, Any]) -> Any:
    import tfx.v1  # noqa: F401

    from components import CategoryMetrics
    from components.class_metrics.executor import describe
    from components.evaluation.reading import read_evaluation

    output = CategoryMetrics()
    output.uri = "/gone"
    describe(output, read_evaluation(evaluation)[0], small.objective_evals(), thresholds)
    return output


def test_every_figure_and_category_becomes_a_property(evaluation: str, thresholds: dict[str, Any]) -> None:
    from components.evaluation.figures import COLUMNS
    from components.evaluation.reading import read_evaluation

    artifact, overall = _artifact(evaluation, thresholds), read_evaluation(evaluation)[0]
    assert artifact.type_name == "components.CategoryMetrics"
    for objective, values in overall.values.items():
        for name, value in values.items():
            if np.isfinite(value):
                assert artifact.get_float_custom_property(f"{objective}/{name}") == value
            else:
                assert not artifact.has_custom_property(f"{objective}/{name}")
        columns = dict(zip(COLUMNS, overall.categories[objective], strict=True))
        for i, (category, path) in enumerate(small.CLASSES):
            name = f"category/{objective}/{category}"
            if np.isnan(columns["f1"][i]):
                assert not artifact.has_custom_property(name)
                continue
            found = json.loads(artifact.get_string_custom_property(name))
            assert found.pop("path") == path
            expected = {n: v[i] for n, v in columns.items() if np.isfinite(v[i])}
            assert found == pytest.approx(expected, rel=1e-6)
    failed = json.loads(artifact.get_string_custom_property("failed/exclusive"))
    assert {row["path"]: row["bound"] for row in failed} == {
        "Shoes > Boots": 0.99, "(categories with few labels, together)": 0.999,
    }  # fmt: skip
    assert not artifact.has_custom_property("failed/tags")


def test_an_evaluation_of_other_classes_is_refused(evaluation: str) -> None:
    from components.class_metrics.executor import properties
    from components.evaluation.objectives import ObjectiveEval
    from components.evaluation.reading import read_evaluation

    other = ObjectiveEval("exclusive", "exclusive", small.CLASSES[:3])
    overall = read_evaluation(evaluation)[0]
    with pytest.raises(ValueError, match="has 7 classes, the workflow 3"):
        list(properties(overall, [other], {}))


def test_the_executor_takes_the_categories_from_the_taxonomy(evaluation: str, tmp_path: Path) -> None:
    import tfx.v1  # noqa: F401
    from tfx.types import standard_artifacts

    from components import CategoryMetrics, ProductTaxonomy
    from components.class_metrics.executor import ClassMetricsExecutor
    from modules.examples import TAXONOMY_FILE
    from modules.taxonomy import Taxonomy

    paths = [tuple(path.split(" > ")) for path in small.PATHS]
    tree = Taxonomy.from_paths(paths, exclusive="given")
    tree.write(str(tmp_path / TAXONOMY_FILE))
    given, taxonomy, output = standard_artifacts.ModelEvaluation(), ProductTaxonomy(), CategoryMetrics()
    given.uri, taxonomy.uri, output.uri = evaluation, str(tmp_path), str(tmp_path)
    objectives = {"exclusive": {"kind": "exclusive"}}
    bounds = {"thresholds": {"exclusive": {"every_category_f1": 1.0, "category_min_support": 1}}}
    part = json.dumps({"name": "shop", "objectives": objectives, "evaluation": bounds})
    ClassMetricsExecutor().Do(
        {"evaluation": [given], "taxonomy": [taxonomy]}, {"metrics": [output]}, {"workflow": part}
    )
    assert output.has_custom_property("exclusive/accuracy") and not output.has_custom_property("tags/micro_f1")
    failed = {row["path"] for row in json.loads(output.get_string_custom_property("failed/exclusive"))}
    assert failed and failed <= set(small.PATHS)


def test_a_folder_without_evaluation_is_refused(tmp_path: Path) -> None:
    import tfx.v1  # noqa: F401

    from components.evaluation.reading import read_evaluation

    with pytest.raises(ValueError, match="there is no evaluation"):
        read_evaluation(str(tmp_path))


def test_ml_metadata_alone_answers(evaluation: str, thresholds: dict[str, Any], store_uri: str) -> None:
    """The artifact as TFX writes it, read back by the queries; the artifact's folder never existed."""
    from ml_metadata.metadata_store import metadata_store

    from components.class_metrics import queries
    from tests.components.test_queries import put

    artifact = _artifact(evaluation, thresholds)
    store = metadata_store.MetadataStore(queries.connection_config(store_uri))
    put(store, "run-1", artifact.mlmd_artifact, artifact_type=artifact.artifact_type)
    found = queries.latest_metrics(queries.open_store(store_uri), "shop")
    # ML Metadata keeps 6 digits of a number on SQLite.
    accuracy = artifact.get_float_custom_property("exclusive/accuracy")
    assert found.values["exclusive"]["accuracy"] == pytest.approx(accuracy, rel=1e-5)
    assert [row["path"] for row in found.failed["exclusive"]][0].startswith(("Shoes", "(cat"))
    assert {item.path for item in found.categories} <= set(small.PATHS)
