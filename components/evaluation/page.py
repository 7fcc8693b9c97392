"""TFMA's own view of an evaluation as one file that needs nothing else: no network, no notebook, no server."""

from __future__ import annotations

import html
import json
import math
import os
from pathlib import Path
from typing import Any

from components.evaluation.figures import COLUMNS
from modules.metrics.intervals import LOWER, UPPER

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 0 auto; max-width: 1400px; padding: 1rem; }}
nav button {{ font: inherit; margin: 0 .5rem .5rem 0; padding: .3rem .8rem; }}
nav button[aria-pressed=true] {{ font-weight: bold; }}
main {{ overflow-x: auto; }}
input {{ font: inherit; padding: .3rem; width: 20rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<nav id="evaluation-views" aria-label="Views"></nav>
<p id="evaluation-search" hidden><label>Find a category: <input id="evaluation-filter" type="search"></label></p>
<main id="evaluation-view"></main>
<script type="application/json" id="evaluation-data">{data}</script>
<script>{charts}</script>
<script>{tfma}</script>
<script>{page}</script>
</body>
</html>
"""

_PAGE = """
(function () {
  'use strict';
  // TFMA puts elements of its own into the page: ids have a prefix.
  const views = JSON.parse(document.getElementById('evaluation-data').textContent);
  const nav = document.getElementById('evaluation-views'), place = document.getElementById('evaluation-view');
  const search = document.getElementById('evaluation-search'), filter = document.getElementById('evaluation-filter');
  let shown = null;
  function show(view) {
    shown = view;
    for (const button of nav.children) button.setAttribute('aria-pressed', String(button.textContent === view.title));
    search.hidden = !view.categories;
    filter.value = '';
    draw();
  }
  function draw() {
    const made = document.createElement(shown.element), text = filter.value.trim().toLowerCase();
    // TFMA's view computes on the objects it is given.
    made.config = structuredClone(shown.config);
    const rows = shown.categories ? shown.data.filter((row) => row.slice.toLowerCase().includes(text)) : shown.data;
    made.data = structuredClone(rows);
    place.replaceChildren(rows.length === 0 ? document.createTextNode('No such category.') : made);
  }
  filter.addEventListener('input', draw);
  for (const view of views) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = view.title;
    button.addEventListener('click', () => show(view));
    nav.appendChild(button);
  }
  show(views[0]);
}());
"""


def write_evaluation_page(evaluation: str, output: str | os.PathLike[str], title: str = "Evaluation") -> None:
    """Writes TFMA's slicing metrics view and plots, categories included, as a self-contained HTML file.

    Per objective there is a view of the overall figures, of each feature that was sliced by, of all categories (TFMA's
    view of slices, with categories in their place, searchable and sortable), and TFMA's calibration plot. TFMA draws
    with Google Charts from the network; the page brings a small replacement (charts.js).

    Args:
      evaluation: folder of the Evaluator's ModelEvaluation artifact.
      output: the file to write.
      title: heading of the page.

    Raises:
      ValueError: there is no evaluation in the folder.
    """
    import tensorflow_model_analysis

    script = Path(tensorflow_model_analysis.__file__).parent / "static" / "vulcanized_tfma.js"
    views = overall_views(evaluation)
    page = _TEMPLATE.format(
        title=html.escape(title),
        # Inside a script element only "<" can end it or change how it is read.
        data=json.dumps(views, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        charts=_script(Path(__file__).with_name("charts.js").read_text("utf-8")),
        tfma=_script(script.read_text("utf-8")),
        page=_script(_PAGE),
    )
    Path(output).write_text(page, "utf-8")


def _script(source: str) -> str:
    """JavaScript that an HTML script element may hold: in code these two stand in strings and patterns alone."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def overall_views(evaluation: str) -> list[dict[str, Any]]:
    """The page's views: title, TFMA's element, its data and its configuration."""
    from components.evaluation.reading import read_classes, read_evaluation

    slices, paths = read_evaluation(evaluation), read_classes(evaluation)
    views = []
    for objective in sorted(slices[0].values):
        groups: dict[str, list[Any]] = {}
        for item in slices:
            feature = item.name.partition(":")[0]
            groups.setdefault(feature, []).append(_row(item.name, item.values.get(objective, {})))
        for feature, rows in groups.items():
            views.append(_metrics_view(f"{objective}: {feature.lower()}", rows))
        array = slices[0].categories.get(objective)
        if array is not None:
            rows = []
            for index, path in enumerate(paths[objective]):
                values = dict(zip(COLUMNS, array[:, index].tolist(), strict=True))
                if math.isfinite(values["f1"]):
                    values["example_count"] = values.pop("examples")
                    rows.append(_row(path, values))
            views.append({**_metrics_view(f"{objective}: categories", rows), "categories": True})
    return [view for view in views if view["data"]] + _plots(evaluation)


def _metrics_view(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    config = {"weightedExamplesColumn": "example_count"}
    return {"title": title, "element": "tfma-nb-slicing-metrics", "data": rows, "config": config}


def _row(name: str, values: dict[str, float]) -> dict[str, Any]:
    """A slice as TFMA's view takes it: figures with an interval as bounded values, others as doubles."""
    metrics: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith((LOWER, UPPER)) or not math.isfinite(value):
            continue
        low, high = values.get(key + LOWER, math.nan), values.get(key + UPPER, math.nan)
        if math.isfinite(low) and math.isfinite(high):
            metrics[key] = {"boundedValue": {"value": value, "lowerBound": low, "upperBound": high}}
        else:
            metrics[key] = {"doubleValue": value}
    return {"slice": name, "metrics": {"": {"": metrics}}}


def _plots(evaluation: str) -> list[dict[str, Any]]:
    """TFMA's plots of the overall slice, where it has some."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.slicer import slicer_lib as slicer
    from tensorflow_model_analysis.view import util

    views = []
    plots = tfma.load_eval_result(evaluation, model_name=_model_name(evaluation)).plots
    for key, outputs in plots:
        for objective in outputs if key == () else ():
            data, config = util.get_plot_data_and_config(plots, slicer.SingleSliceSpec(), output_name=objective)
            views.append({"title": f"{objective}: plots", "element": "tfma-nb-plot", "data": data, "config": config})
    return views


def _model_name(evaluation: str) -> str | None:
    import tensorflow_model_analysis as tfma

    config = tfma.load_eval_result(evaluation).config
    names = [spec.name for spec in config.model_specs if not spec.is_baseline]
    return names[0] if len(config.model_specs) > 1 else None
