"""Names of single retailers' figures in ML Metadata: what is written is read back."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.metrics.per_retailer import EXAMPLES, MAX_RETAILERS, by_retailer, retailer_figures

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(["a/b", "accuracy", "x/accuracy", "a/accuracy/lower", "a:b"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(NAMES, st.floats(0, 1), max_size=6))
def test_any_name_comes_back(accuracies: dict[str, float]) -> None:
    slices = [
        (f"retailer:{name}", {"accuracy": value, "accuracy/lower": 0.0, EXAMPLES: 3.0, "auc": 1.0})
        for name, value in accuracies.items()
    ]
    kept = retailer_figures([("Overall", {"accuracy": 1.0, EXAMPLES: 9.0}), ("brand:x", {EXAMPLES: 1.0}), *slices])
    read = by_retailer({**kept, "accuracy": 0.5})
    assert read == {
        name: {"accuracy": value, "accuracy/lower": 0.0, EXAMPLES: 3.0} for name, value in accuracies.items()
    }


def test_the_largest_are_kept_and_those_without_labels_are_not() -> None:
    slices = [(f"retailer:{number}", {"accuracy": 0.5, EXAMPLES: float(number)}) for number in range(100)]
    read = by_retailer(retailer_figures(slices))
    assert list(read) == [str(number) for number in range(99, 99 - MAX_RETAILERS, -1)]
    nothing = [("retailer:a", {"accuracy": float("nan"), EXAMPLES: 0.0}), ("retailer:", {EXAMPLES: 5.0})]
    assert by_retailer(retailer_figures(nothing)) == {}
