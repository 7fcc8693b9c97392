"""The p% rule: its interval covers the truth, names of any slice come back, and few products do not count."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.metrics.disparity import EXAMPLES, LEAST_PRODUCTS, disparities, disparity_figures, ratio_of
from modules.metrics.intervals import Interval, wilson, z_of
from modules.predictions.acceptance import accepted_shares
from modules.predictions.accepted_figures import COVERAGE
from modules.reporting.text import disparity_text
from tests.modules.reporting.sample import WORKFLOW, taxonomy, write_predictions

Z = z_of(0.95)


def share(hits: float, products: int) -> Interval:
    lower, upper = wilson(hits / products, products, Z)
    return Interval(hits / products, float(lower), float(upper))


def measured(rates: dict[str, tuple[float, int]], column: str = "brand") -> list[tuple[str, dict[str, float]]]:
    """Slices with an accuracy, and how many labelled products it stands on."""
    return [
        (f"{column}:{name}", {EXAMPLES: float(n), **share(rate * n, n).named("accuracy")})
        for name, (rate, n) in rates.items()
    ]


@pytest.mark.parametrize(("first", "second", "n", "m"), [(0.6, 0.8, 60, 90), (0.9, 0.95, 40, 200), (0.2, 0.4, 100, 50)])
def test_the_interval_covers_the_true_ratio_as_often_as_it_says(first: float, second: float, n: int, m: int) -> None:
    rng = np.random.default_rng(5)
    draws = zip(rng.binomial(n, first, 2000), rng.binomial(m, second, 2000), strict=True)
    ratios = [ratio_of(share(a, n), share(b, m)) for a, b in draws if b]
    covered = np.mean([ratio.lower <= first / second <= ratio.upper for ratio in ratios])
    assert 0.935 <= covered <= 0.975
    # Beside it the delta method on the logarithm (Katz et al. 1978), of the rates themselves.
    spread = Z * math.sqrt((1 - first) / (first * n) + (1 - second) / (second * m))
    width = math.log(ratio_of(share(first * n, n), share(second * m, m)).upper / (first / second))
    assert width == pytest.approx(spread, rel=0.3)


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0.01, 1))
def test_the_ratio_lies_in_its_interval(n: int, m: int, first: float, second: float) -> None:
    ratio = ratio_of(share(first * n, n), share(second * m, m))
    assert ratio.lower <= ratio.value + 1e-9 and ratio.value <= ratio.upper + 1e-9


NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["a/b", "accuracy", "x/accuracy", f"a/{COVERAGE}/lower", "a:b"]
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(NAMES, st.tuples(st.floats(0, 1), st.integers(1, 99)), min_size=1, max_size=6))
def test_any_slice_comes_back_and_small_ones_do_not_count(rates: dict[str, tuple[float, int]]) -> None:
    kept = disparity_figures([("Overall", {"accuracy": 1.0}), *measured(rates)], ["brand", "gender"])
    (disparity,) = disparities({**kept, "accuracy": 0.5})
    assert {own.name: (own.rate.value, own.products) for own in disparity.slices} == {
        name: (pytest.approx(rate), n) for name, (rate, n) in rates.items()
    }
    counting = [rate for rate, n in rates.values() if n >= LEAST_PRODUCTS]
    if len(counting) > 1 and max(counting) > 0:
        assert disparity.ratio is not None
        assert disparity.ratio.value == pytest.approx(min(counting) / max(counting))
        assert kept["disparity_ratio/brand/accuracy"] == disparity.ratio.value
    else:
        assert disparity.ratio is None


def test_rates_without_intervals_have_a_ratio_without_one() -> None:
    slices = [(f"gender:{name}", {EXAMPLES: 50.0, "micro_recall": rate}) for name, rate in (("f", 0.9), ("m", 0.6))]
    kept = disparity_figures(slices, ["gender"])
    (disparity,) = disparities(kept)
    assert disparity_text(disparity) == "micro recall by gender: smallest over greatest 67%: 0.600 of m over 0.900 of f"
    assert all(map(math.isfinite, kept.values())), "ML Metadata takes no NaN"


def test_accepted_shares_are_those_of_the_table(tmp_path: Path) -> None:
    thresholds = [0.5, 0.9, 0.2, 2.0, 0.4, 0.3]
    of_category = {
        own.id: threshold
        for own, threshold in zip(WORKFLOW.objectives["exclusive"].classes(taxonomy()), thresholds, strict=True)
    }
    rows = write_predictions(tmp_path, {"train": 60, "test": 40}, accepted={"exclusive": thresholds})
    products, accepted = Counter(), Counter()
    for row in rows:
        products[row["retailer"]] += 1
        accepted[row["retailer"]] += row["exclusive"]["probability"] >= of_category[row["exclusive"]["category_id"]]
    shares = accepted_shares(str(tmp_path), "exclusive")["retailer"]
    assert {name: (n, own.value) for name, (n, own) in shares.items()} == {
        name: (n, accepted[name] / n) for name, n in products.items()
    }
    assert 0 < sum(accepted.values()) < 100
    kept = disparity_figures([], ["retailer"], {"retailer": shares})
    (disparity,) = disparities(kept)
    assert disparity.figure == COVERAGE and sum(own.products for own in disparity.slices) == sum(
        n for name, n in products.items() if name
    )
    write_predictions(tmp_path / "plain", {"test": 10})
    assert accepted_shares(str(tmp_path / "plain"), "exclusive") == {}
