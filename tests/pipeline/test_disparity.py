"""Disparity from the workflow to the summary and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.evaluation.of_workflow import eval_config
from modules.metrics.disparity import disparity_figures
from modules.metrics.intervals import wilson, z_of
from modules.settings.workflow import Workflow
from tests.modules.reporting.pages import assert_harmless
from tests.modules.reporting.sample import WORKFLOW, taxonomy
from tests.pipeline.recorded import Recorder
from tests.pipeline.test_summary import FIRST, folder, loaded, told
from tests.pipeline.test_summary import metrics as figures
from tests.pipeline.test_summary import outputs as of_run

__all__ = ("folder", "loaded")
HOSTILE = "<script>x()</script>/accuracy"


def test_the_summary_and_the_report_have_the_ratio_and_every_slice(loaded, folder) -> None:
    slices = []
    for name, hits, n in ((HOSTILE, 24, 40), ("Acme", 36, 40), ("Few", 0, 3)):
        lower, upper = wilson(hits / n, n, z_of(0.95))
        own = {"accuracy": hits / n, "accuracy/lower": float(lower), "accuracy/upper": float(upper), "example_count": n}
        slices.append((f"brand:{name}", own))
    kept = {f"exclusive/{name}": value for name, value in disparity_figures(slices, ["brand"]).items()}
    recorder = Recorder(Path(folder.metadata), "shop")
    recorder.run(FIRST, of_run(folder, FIRST, metrics=(folder.root, figures(0.7, 0.1) | kept)))
    text, path = told(loaded, folder, FIRST)
    said = " ".join(text.split())
    assert "accuracy by brand: smallest over greatest 67% (49% - 86%)" in said
    assert f"0.600 of {HOSTILE} over 0.900 of Acme; 1 slice with fewer than 30 products left out" in said
    assert path is not None
    page = assert_harmless(path.read_text("utf-8"))
    assert f"{HOSTILE} 40 0.6000" in page.text and "Few 3 0.0000" in page.text and "too few to count" in page.text


def test_columns_are_sliced_by_once() -> None:
    evaluation = {"slices": ["retailer"], "disparity": ["brand", "retailer"]}
    workflow = WORKFLOW.model_copy(update={"evaluation": WORKFLOW.evaluation.model_validate(evaluation)})
    specs = eval_config(workflow, taxonomy()).slicing_specs
    assert [list(spec.feature_keys) for spec in specs] == [[], ["retailer"], ["brand"]]


def test_columns_of_the_disparity_are_sliced_by_and_have_to_be_known() -> None:
    with pytest.raises(ValueError, match="one of: retailer"):
        Workflow.model_validate({
            "name": "shop", "taxonomy": {"file": "t.json"}, "rules": {"file": "r.yaml"},
            "evaluation": {"disparity": ["colour"]},
        })  # fmt: skip
