"""The simulated campaign: resumable, exact about its settings, and never looking at what it is measured on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from experiments.arms import Arm, Experiment
from experiments.campaigns import run
from experiments.catalogue import LabelledCatalogue, catalogue_of
from experiments.results import PAGE_FILE, RESULTS_FILE
from modules.errors import InputError
from modules.feeds.mapping import Product
from modules.settings.recipe import ArmSettings, Recipe
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from shelfmark.cli import app

pytestmark = pytest.mark.slow
WORDS = {
    "Shoes > Boots": ["boot", "leather", "ankle", "lace"], "Shoes > Sandals": ["sandal", "strap", "summer", "beach"],
    "Bags > Totes": ["tote", "canvas", "carry", "shopper"], "Bags > Backpacks": ["backpack", "school", "zip", "hike"],
}  # fmt: skip
WORKFLOW = Workflow.model_validate(
    {
        "name": "tiny", "feed": {"fields": {"truth": "truth"}}, "taxonomy": {"from_truth": True},
        "objectives": {"exclusive": {"kind": "exclusive"}},
        "features": {"title": {"kind": "text", "vocabulary": 200}}, "model": {"kind": "lsa", "embedding_width": 16},
        "training": {"solver": "liblinear"},
    }
)  # fmt: skip
SETTINGS: dict[str, Any] = {"first_seed": 3, "seeds": 2, "budget": 30, "batch": 10, "held_out_seed": 1,
                            "first_batch": "strategy", "targets": {"accuracy": 0.5}}  # fmt: skip


def of_strategies(
    catalogue: LabelledCatalogue,
    names: Sequence[str] = ("default", "random"),
    workflow: Workflow = WORKFLOW,
    **own: Any,
) -> Experiment:
    """What ``label-efficiency`` plays: an arm for each strategy."""
    arms = {name: ArmSettings(strategy=name) for name in names}
    recipe = Recipe(description="strategies", arms=arms, **{**SETTINGS, **own})
    made = {name: Arm(settings, workflow, catalogue) for name, settings in arms.items()}
    return Experiment("Label efficiency", "tiny", recipe, made)


def feed(n: int = 240) -> list[Product]:
    rng = np.random.default_rng(1)
    made = []
    for i in range(n):
        category = list(WORDS)[rng.integers(len(WORDS))]
        title = " ".join(
            [*rng.choice(WORDS[category], 2, replace=False), *rng.choice(["red", "blue", "new"], 1), f"m{i}"]
        )
        made.append(Product(f"p{i}", {"title": title}, {}, truth=tuple(category.split(" > "))))
    return made


@pytest.fixture(scope="module")
def catalogue() -> LabelledCatalogue:
    return catalogue_of(feed(), minimum=10)


@pytest.fixture(scope="module")
def whole(catalogue: LabelledCatalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(of_strategies(catalogue), folder)
    return folder


def rows(folder: Path) -> list[dict[str, object]]:
    """The results without what differs from run to run."""
    table = pq.read_table(folder / RESULTS_FILE)
    return table.drop_columns(["select_seconds", "fit_seconds"]).to_pylist()


def test_titles_are_distinct_and_small_categories_are_left_out() -> None:
    products = [
        *feed(),
        Product("twin", {"title": f" {feed()[0].text['title'].upper()}"}, {}, truth=("Bags", "Totes")),
        Product("rare", {"title": "a rare one"}, {}, truth=("Hats",)),
        Product("none", {"title": "x"}, {}),
    ]
    labelled = catalogue_of(products, minimum=10)
    assert [product.id for product in labelled.products] == [f"p{i}" for i in range(240)]
    assert labelled.classes == 4
    for product, truth in zip(labelled.products, labelled.truth, strict=True):
        assert labelled.taxonomy.exclusive[truth].path == product.truth
    with pytest.raises(InputError, match="at least two true categories"):
        catalogue_of(products, minimum=1000)
    pool, held_out = labelled.held_out(0.25, 7)
    assert len(held_out) == 60 and sorted([*pool, *held_out]) == list(range(240))
    assert (labelled.held_out(0.25, 7)[1] == held_out).all() and (labelled.held_out(0.25, 8)[1] != held_out).any()
    assert held_out.tolist() == sorted(np.random.default_rng(7).permutation(240)[:60])


def test_what_the_workflow_s_taxonomy_says_of_categories_is_known_and_told_apart() -> None:
    plain = catalogue_of(feed(), minimum=10)
    boots = plain.taxonomy.find("Shoes > Boots")
    told = Taxonomy(replace(c, synonyms=("wellies",)) if c == boots else c for c in plain.taxonomy)
    described = catalogue_of(feed(), minimum=10, described=told)
    assert described.taxonomy == told and (described.truth == plain.truth).all()
    assert described.fingerprint() != plain.fingerprint()
    assert catalogue_of(feed(), minimum=10, described=plain.taxonomy).fingerprint() == plain.fingerprint()


def test_variants_are_held_out_together() -> None:
    products = [replace(product, item_groups=(f"g{i // 3 % 70}",)) for i, product in enumerate(feed())]
    for product in products:
        product.truth = products[0].truth if product.item_groups[0] < "g5" else ("Bags", "Totes")
    labelled = catalogue_of(products, minimum=10)
    pool, held_out = labelled.held_out(0.25, 7)
    groups = [{labelled.products[row].item_groups for row in rows} for rows in (pool, held_out)]
    assert not groups[0] & groups[1] and len(pool) + len(held_out) == len(labelled.products)
    assert abs(len(held_out) - 60) <= 3


def test_a_row_per_round_with_the_exact_settings(whole: Path, catalogue: LabelledCatalogue) -> None:
    found = rows(whole)
    assert [(r["strategy"], r["seed"], r["labels"]) for r in found] == [
        (kind, seed, labels) for seed in (3, 4) for kind in ("default", "random") for labels in (10, 20, 30)
    ]
    _, held_out = catalogue.held_out(0.2, 1)
    measured = {catalogue.products[row].id for row in held_out}
    for seed in (3, 4):
        for kind in ("default", "random"):
            picked = [name for r in found if (r["strategy"], r["seed"]) == (kind, seed) for name in r["picked"]]  # type: ignore
            assert len(set(picked)) == 30 and not measured & set(picked)
    # Four words a category: thirty labels are plenty, and a guess would be right a quarter of the time.
    assert min(r["accuracy"] for r in found if r["labels"] == 30) > 0.6  # type: ignore[type-var]
    kept = json.loads(pq.read_schema(whole / RESULTS_FILE).metadata[b"shelfmark"])
    assert kept["settings"]["budget"] == 30 and kept["arms"]["random"]["workflow"]["model"]["kind"] == "lsa"
    assert kept["arms"]["default"]["strategy"]["kind"] == "schedule" and kept["fingerprint"] == catalogue.fingerprint()
    page = (whole / PAGE_FILE).read_text()
    assert "<svg" in page and "default" in page
    assert not any(part in page for part in ('src="http', 'href="http', "<link", "@import"))


class Stopped(Exception):
    pass


def test_a_stopped_one_goes_on_where_it_was(whole: Path, catalogue: LabelledCatalogue, tmp_path: Path) -> None:
    """Stopped within a strategy, between two, and between two seeds, as a kill would."""
    for more in (2, 1, 3):
        said: list[str] = []

        def report(text: str, said: list[str] = said, more: int = more) -> None:
            said.append(text)
            if sum("accuracy" in one for one in said) == more:
                raise Stopped

        with pytest.raises(Stopped):
            run(of_strategies(catalogue), tmp_path, report=report)
    run(of_strategies(catalogue), tmp_path)
    assert rows(tmp_path) == rows(whole)


def test_it_ends_where_the_target_is_reached_and_refuses_what_cannot_be(
    whole: Path, catalogue: LabelledCatalogue, tmp_path: Path
) -> None:
    short = of_strategies(catalogue, ["random"], seeds=1, targets={"accuracy": 0.3}, stop_at_target=True)
    page = run(short, tmp_path)
    (curve,) = page.curves
    assert max(curve.values["accuracy"]) >= 0.3 and all(value < 0.3 for value in curve.values["accuracy"][:-1])
    with pytest.raises(InputError, match="other settings"):
        run(of_strategies(catalogue, batch=5), whole)
    with pytest.raises(InputError, match="at most the pool's 192 products"):
        run(of_strategies(catalogue, budget=500), tmp_path / "x")


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--strategy", "marginn"], "did you mean 'margin'"), (["--target", "accuracy=2"], "at most 1"),
     (["--model", "forest"], "model.kind")],
)  # fmt: skip
def test_bad_options_are_named_before_anything_is_read(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["experiment", "label-efficiency", "--demo", *options])
    assert isinstance(done.exception, InputError) and said in str(done.exception)
