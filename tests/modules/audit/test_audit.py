"""Audits: probabilities that are kept, estimates without bias, intervals that cover, and what a verdict takes back."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.audit.draw import drawn, inclusion_probabilities
from modules.audit.estimate import LEAST, OVERALL, Estimate, estimates, precision_of, verdict_of
from modules.audit.record import POPULATION, Audit, Audits, Drawn, Verdict
from modules.errors import InputError
from modules.predictions.columns import CATEGORY, RETAILER
from modules.predictions.withdrawn import Withdrawn
from modules.settings.acceptance import AcceptanceSettings
from pipeline.audit import Report
from shelfmark.cli.audit import _tell

LINEAGES = [["shoes", "boots"], ["shoes", "sandals"], ["bags", "totes"]]


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8), n=st.integers(1, 150))
def test_probabilities_sum_to_what_is_drawn(sizes: list[int], n: int) -> None:
    strata = np.repeat(np.arange(len(sizes)), sizes)
    probability = inclusion_probabilities(strata, n)
    assert (
        probability.sum() == pytest.approx(min(n, len(strata))) and (probability > 0).all() and probability.max() <= 1
    )
    picked = drawn(strata, probability, np.random.default_rng(n))
    assert len(set(picked.tolist())) == len(picked) == min(n, len(strata))
    # What is certain is drawn, and no stratum misses its share by a whole product.
    assert set(np.flatnonzero(probability == 1.0)) <= set(picked.tolist())
    shares = np.bincount(strata, weights=probability)
    assert (np.abs(np.bincount(strata[picked], minlength=len(sizes)) - shares) < 1.0 + 1e-6).all()


def test_small_strata_are_seen() -> None:
    strata = np.repeat([0, 1], [10_000, 100])
    counts = np.bincount(strata, weights=inclusion_probabilities(strata, 110))
    np.testing.assert_allclose(counts, [100.0, 10.0])


def test_products_are_drawn_as_often_as_is_said_and_estimates_have_no_bias() -> None:
    rng = np.random.default_rng(1)
    strata = np.repeat(np.arange(4), [400, 100, 40, 3])
    right = rng.random(len(strata)) < np.array([0.98, 0.7, 0.9, 0.5])[strata]
    probability = inclusion_probabilities(strata, 60)
    times, totals, rounds = np.zeros(len(strata)), [], 4000
    for _ in range(rounds):
        picked = drawn(strata, probability, rng)
        times[picked] += 1
        # Horvitz and Thompson's estimate of how many are right.
        totals.append((right[picked] / probability[picked]).sum())
    error = np.sqrt(probability * (1.0 - probability) / rounds)
    assert (np.abs(times / rounds - probability) < 5.0 * error + 1e-9).all()
    assert np.mean(totals) == pytest.approx(right.sum(), abs=5.0 * np.std(totals) / np.sqrt(rounds))


@pytest.mark.parametrize(("right", "n"), [(0, 12), (7, 12), (12, 12), (95, 100)])
def test_with_equal_weights_the_interval_is_the_exact_one(right: int, n: int) -> None:
    flags = np.arange(n) < right
    value, lower, upper = precision_of(flags, np.full(n, 7.0), 0.95)
    assert value == pytest.approx(right / n)

    def at_least(hits: int, share: float) -> float:
        p = Fraction(share)
        return float(sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(hits, n + 1)))

    # Clopper and Pearson's ends by their definition: each tail has 2.5%.
    if right:
        assert at_least(right, lower) == pytest.approx(0.025, rel=1e-6)
    if right < n:
        assert 1.0 - at_least(right + 1, upper) == pytest.approx(0.025, rel=1e-6)
    assert (right > 0) == (lower > 0.0) and (right < n) == (upper < 1.0)


def test_the_interval_covers_under_unequal_probabilities() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat(np.arange(3), [3000, 300, 30])
    right = rng.random(len(strata)) < np.array([0.9, 0.9, 0.8])[strata]
    probability = inclusion_probabilities(strata, 120)
    covered = []
    for _ in range(600):
        picked = drawn(strata, probability, rng)
        _, lower, upper = precision_of(right[picked], 1.0 / probability[picked], 0.95)
        covered.append(lower <= right.mean() <= upper)
    assert np.mean(covered) > 0.93


def test_categories_and_retailers_with_few_labels_are_judged_together() -> None:
    categories = np.repeat([0, 1, 2], [LEAST, 5, 6])
    retailers = ["acme"] * LEAST + ["bolt"] * 5 + ["core"] * 6
    right = np.repeat([True, False, True], [LEAST, 5, 6])
    rows = estimates(categories, retailers, right, np.ones(len(right)), LINEAGES, 0.95)
    said = {(row.kind, row.name): (set(row.members), row.judged, row.right) for row in rows}
    assert said == {
        (OVERALL, ""): ({"boots", "sandals", "totes"}, LEAST + 11, LEAST + 6),
        (CATEGORY, "boots"): ({"boots"}, LEAST, LEAST),
        # Both roots have too few for themselves.
        (CATEGORY, ""): ({"sandals", "totes"}, 11, 6),
        (RETAILER, "acme"): ({"acme"}, LEAST, LEAST),
        (RETAILER, ""): ({"bolt", "core"}, 11, 6),
    }
    verdict = verdict_of(rows, 0.95, Estimate.has_fallen)
    assert verdict == {CATEGORY: ["boots", "sandals", "totes"], RETAILER: ["bolt", "core"]}
    assert verdict_of(rows, 0.95, Estimate.has_passed) == {CATEGORY: ["boots"], RETAILER: ["acme"]}


def test_the_whole_gives_no_part_again() -> None:
    rows = estimates(
        np.repeat([0, 1], [90, 4]), ["acme"] * 94, np.repeat([True, False], [90, 4]), np.ones(94), LINEAGES, 0.95
    )
    assert rows[0].value > 0.9 and verdict_of(rows, 0.9, Estimate.has_passed)[CATEGORY] == ["boots"]
    assert verdict_of(rows, 0.9, Estimate.has_fallen) == {CATEGORY: ["sandals", "totes"], RETAILER: []}


def test_nothing_has_fallen_where_nothing_was_judged() -> None:
    rows = estimates(np.zeros(0, np.int64), [], np.zeros(0, bool), np.zeros(0), LINEAGES, 0.95)
    assert not any(row.has_fallen(0.95) or row.has_passed(0.95) for row in rows)
    assert [(row.lower, row.upper) for row in rows] == [(0.0, 1.0)] * len(rows)


DRAWN = {"id": "p1", "title": "", "retailer": "", "category": "boots", "inclusion_probability": 0.5}


def audit(number: int, model: str = "m", verdict: Verdict | None = None) -> Audit:
    row = Drawn(id=f"p{number}", title="a boot", retailer="acme", category="boots", inclusion_probability=0.5)
    return Audit(
        number=number, time=1.0, run="r", model=model, objective="exclusive", population=2, drawn=[row], verdict=verdict
    )


def test_what_is_taken_back_comes_again_by_a_later_audit_or_another_model(tmp_path: Path) -> None:
    audits = Audits(tmp_path / "audits")
    assert audits.every() == [] and not audits.withdrawn("m")
    fallen = Verdict(fallen={CATEGORY: ["boots", "totes"], RETAILER: ["acme"]}, passed={})
    audits.write(audit(9, verdict=fallen))
    first = audits.withdrawn("m")
    assert first.categories == {"exclusive": {"boots", "totes"}} and first.retailers == {"exclusive": {"acme"}}
    assert not audits.withdrawn("another")
    # Labels that have come since change the verdict of the same audit.
    audits.write(audit(10, verdict=Verdict(fallen={CATEGORY: ["sandals"]}, passed={CATEGORY: ["boots"]})))
    second = audits.withdrawn("m")
    assert second.categories == {"exclusive": {"totes", "sandals"}} and second.version != first.version
    audits.write(audit(9))
    assert audits.withdrawn("m").categories == {"exclusive": {"sandals"}}
    assert [each.number for each in audits.every()] == [9, 10]


def test_a_damaged_audit_is_named(tmp_path: Path) -> None:
    audits = Audits(tmp_path)
    audits.write(audit(1), pa.table({"id": ["p1"], "category_id": ["boots"]}, schema=POPULATION))
    assert [table.num_rows for table in audits.seen("m", "exclusive")] == [1]
    (tmp_path / "1.parquet").write_text("PAR1")
    with pytest.raises(InputError, match=r"1\.parquet: no whole Parquet file .*; put a backup in its place"):
        list(audits.seen("m", "exclusive"))
    (tmp_path / "1.parquet").unlink()
    with pytest.raises(InputError, match=r"1\.parquet.*there is no such file.*; put a backup in its place"):
        list(audits.seen("m", "exclusive"))
    (tmp_path / "1.json").write_text("{")
    with pytest.raises(InputError, match=r"1\.json.*damaged"):
        audits.withdrawn("m")


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 2}, {"number": 0}, {"number": 10**40}, {"drawn": [{"id": "p1"}]}, {"verdict": {"fallen": []}},
        *({"drawn": [DRAWN | {"inclusion_probability": odd}]} for odd in (0.0, -0.5, 1.5, float("nan"), float("inf"))),
    ],
)  # fmt: skip
def test_an_audit_that_somebody_changed_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    Audits(tmp_path).write(audit(1))
    file = tmp_path / "1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises(InputError, match=r"1\.json.*damaged"):
        Audits(tmp_path).every()


def test_one_at_a_time_is_at_work_on_audits(tmp_path: Path) -> None:
    audits = Audits(tmp_path / "audits")
    with audits.alone():
        with pytest.raises(InputError, match="another `shelfmark audit` is at work"), Audits(audits.folder).alone():
            pass
        audits.write(audit(1))
        assert len(audits.every()) == 1
    with audits.alone():
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder that can be written"), Audits(tmp_path / "file").alone():
        pass


def test_people_are_told_of_what_was_taken_back_in_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"c{number:02}" for number in range(30)]
    withdrawn = Withdrawn({"exclusive": frozenset(names)}, {"exclusive": frozenset({"", "ac\x1b[2Jme"})})
    rows = [Estimate(RETAILER, "", ("",), 30, 3, 0.1, 0.0, 0.2), Estimate(RETAILER, "", ("", "a"), 9, 9, 1.0, 0.7, 1.0)]
    report = Report(audit(1), AcceptanceSettings(precision=0.9), 30, rows, {"c00": "Shoes > Boots"}, withdrawn)
    assert report.taken_back() == ["Shoes > Boots", *names[1:], "no retailer", "ac\x1b[2Jme"]
    _tell(report)
    said = capsys.readouterr().out
    assert "FALLEN  no retailer: precision 10.0%" in said and "with few labels together: no retailer, a: " in said
    assert "Shoes > Boots; c01" in said and "c19; and 12 more (--json has all)" in said and "c20" not in said
    _tell(replace(report, withdrawn=Withdrawn({}, withdrawn.retailers)))
    said = capsys.readouterr().out
    assert r"no retailer; ac\x1b[2Jme" in said and "more (" not in said


def test_a_batch_is_accepted_without_what_is_withdrawn() -> None:
    withdrawn = Withdrawn({"exclusive": frozenset({"boots"})}, {"exclusive": frozenset({"acme"})})
    columns = ["id", "exclusive/accepted"]
    read = withdrawn.beside(columns)
    assert read == ["id", "exclusive/accepted", "exclusive/category_id", "retailer"]
    rows = [
        ("a", True, "boots", "bolt"), ("b", True, "totes", "acme"), ("c", True, "totes", "bolt"),
        ("d", False, "totes", "bolt"), ("e", True, "totes", None),
    ]  # fmt: skip
    arrays = [pa.array(values) for values in zip(*rows, strict=True)]
    arrays[2] = arrays[2].dictionary_encode()
    batch = withdrawn.applied(pa.RecordBatch.from_arrays(arrays, names=read))
    assert batch.column("exclusive/accepted").to_pylist() == [False, False, True, False, True]
    thresholds = withdrawn.thresholds({"exclusive": [0.5, 0.6]}, {"exclusive": ["boots", "totes"]})
    assert thresholds == {"exclusive": [np.inf, 0.6]}
    assert withdrawn.beside(["id"]) == ["id"] and not Withdrawn() and Withdrawn().version == ""
