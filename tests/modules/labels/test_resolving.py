"""What many answers come to: by hand, and against a slow and plain twin."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.labels import ResolvedLabel, read_labels, resolve
from modules.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals", "Hats"], "all")
OBJECTIVES = {"kind": "exclusive", "themes": "multi_label"}
SHOES = TAXONOMY.find("Shoes").id
BOOTS, SANDALS, HATS = (TAXONOMY.find(text).id for text in ("Shoes > Boots", "Shoes > Sandals", "Hats"))
START = datetime(2026, 3, 1, tzinfo=UTC)


def row(who: str, value: str, category: str | None = None, minute: int = 0, objective: str = "kind", **more) -> dict:
    time = (START + timedelta(minutes=minute)).isoformat()
    base = {
        "product_id": "p",
        "objective": objective,
        "category": category,
        "value": value,
        "annotator": who,
        "time": time,
    }
    return base | {"batch": "b1", "source": "margin", "inclusion_probability": None} | more


def outcome(tmp_path, rows: list[dict], objective: str = "kind", **options) -> ResolvedLabel | None:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return resolve(read_labels(path, TAXONOMY, OBJECTIVES), **options)[objective].get("p")


def category(tmp_path, *rows: dict) -> str | None:
    found = outcome(tmp_path, list(rows))
    return "unlabelled" if found is None else found.category_id


def test_the_newest_row_of_an_annotator_counts_whatever_the_order(tmp_path):
    old, new = row("ann", "yes", BOOTS, 1), row("ann", "yes", HATS, 2)
    assert category(tmp_path, old, new) == category(tmp_path, new, old) == HATS
    later = row("ann", "yes", SANDALS, 2)
    assert category(tmp_path, new, later) == SANDALS
    assert category(tmp_path, later, new) == HATS


def test_times_are_compared_across_offsets(tmp_path):
    early = row("ann", "yes", BOOTS) | {"time": "2026-03-01T09:30:00+02:00"}
    late = row("ann", "yes", HATS) | {"time": "2026-03-01T08:00:00"}
    assert category(tmp_path, late, early) == HATS


def test_majority_ties_and_none_of_these(tmp_path):
    a, b, c = row("a", "yes", BOOTS), row("b", "yes", BOOTS), row("c", "yes", HATS)
    assert category(tmp_path, a, b, c) == BOOTS
    assert category(tmp_path, a, c) == "unlabelled"
    assert category(tmp_path, a, b, c, row("d", "yes", SANDALS)) == "unlabelled"
    assert category(tmp_path, row("a", "none_of_these"), row("b", "none_of_these"), c) is None
    assert category(tmp_path, row("a", "none_of_these"), c) == "unlabelled"
    assert category(tmp_path, a, c, row("b", "skip")) == "unlabelled"
    assert category(tmp_path, a, row("b", "skip")) == BOOTS


def test_retracting_withdraws_only_ones_own(tmp_path):
    a, b = row("a", "yes", BOOTS, 1), row("b", "yes", HATS, 1)
    assert category(tmp_path, a, b, row("b", "retracted", minute=2)) == BOOTS
    assert category(tmp_path, a, row("a", "retracted", minute=2)) == "unlabelled"
    assert category(tmp_path, a, row("a", "retracted", minute=2), row("a", "yes", HATS, 3)) == HATS
    assert category(tmp_path, a, row("a", "retracted", minute=0)) == BOOTS


def test_no_speaks_against_a_category_and_for_none(tmp_path):
    assert category(tmp_path, row("a", "no", BOOTS)) == "unlabelled"
    assert category(tmp_path, row("a", "yes", BOOTS), row("b", "no", BOOTS)) == "unlabelled"
    assert category(tmp_path, row("a", "yes", BOOTS), row("b", "no", HATS)) == BOOTS


def test_agreement_and_annotators(tmp_path):
    rows = [row("zoe", "yes", BOOTS), row("b", "yes", BOOTS), row("c", "yes", HATS), row("d", "skip")]
    found = outcome(tmp_path, rows)
    assert found is not None and found.annotators == ("b", "c", "zoe") and found.agreement == pytest.approx(2 / 3)


def test_random_only_where_a_random_row_is_in_the_majority(tmp_path):
    chance = {"source": "random", "inclusion_probability": 0.25}
    winners = [row("a", "yes", BOOTS, 1, **chance), row("b", "yes", BOOTS, 2)]
    found = outcome(tmp_path, [*winners, row("c", "yes", HATS)])
    assert found is not None and (found.source, found.inclusion_probability) == ("random", 0.25)
    losers = [row("a", "yes", BOOTS), row("b", "yes", BOOTS, 1, source="import"), row("c", "yes", HATS, 9, **chance)]
    found = outcome(tmp_path, losers)
    assert found is not None and (found.source, found.inclusion_probability) == ("import", None)
    # Answered again later for another reason: the newer row is the one that counts.
    found = outcome(tmp_path, [row("a", "yes", BOOTS, 1, **chance), row("a", "yes", BOOTS, 2)])
    assert found is not None and found.source == "margin"


def test_model_rows_never_count_as_human(tmp_path):
    model = row("m1", "yes", HATS, 9, source="model")
    human = row("a", "yes", BOOTS)
    assert outcome(tmp_path, [model]) is None
    found = outcome(tmp_path, [model], include_model=True)
    assert found is not None and (found.category_id, found.source) == (HATS, "model")
    models = [row(f"m{i}", "yes", HATS, 9, source="model") for i in range(3)]
    for options in ({}, {"include_model": True}):
        found = outcome(tmp_path, [*models, human], **options)
        assert found is not None and (found.category_id, found.source, found.annotators) == (BOOTS, "margin", ("a",))
        assert outcome(tmp_path, [human, row("b", "yes", SANDALS), *models], **options) is None


def multi(who: str, value: str, category: str | None = None, minute: int = 0, **more) -> dict:
    return row(who, value, category, minute, "themes", **more)


def test_multi_label_answers_are_per_category(tmp_path):
    rows = [
        multi("a", "yes", BOOTS, 1),
        multi("a", "no", HATS, 2),
        multi("a", "yes", HATS, 3),
        multi("b", "no", SANDALS, 1),
    ]
    found = outcome(tmp_path, rows, "themes")
    assert found is not None and (found.category_id, found.yes, found.no) == (None, (HATS, SHOES, BOOTS), (SANDALS,))
    found = outcome(tmp_path, [*rows, multi("b", "no", HATS)], "themes")
    assert found is not None and (found.yes, found.no) == ((SHOES, BOOTS), (SANDALS,))
    found = outcome(tmp_path, [*rows, multi("a", "retracted", BOOTS, 4)], "themes")
    assert found is not None and (found.yes, found.no) == ((HATS,), (SANDALS,))
    found = outcome(tmp_path, [*rows, multi("a", "retracted", None, 4)], "themes")
    assert found is not None and (found.yes, found.no) == ((), (SANDALS,))
    found = outcome(tmp_path, [*rows, multi("a", "skip", None, 4)], "themes")
    assert found is not None and found.yes == (HATS, SHOES, BOOTS)


def test_multi_label_none_of_these(tmp_path):
    found = outcome(tmp_path, [multi("a", "none_of_these")], "themes")
    assert found is not None and (found.yes, found.no, found.agreement) == ((), (), 1.0)
    found = outcome(tmp_path, [multi("a", "yes", BOOTS, 1), multi("a", "none_of_these", minute=2)], "themes")
    assert found is not None and (found.yes, found.no) == ((), ())
    found = outcome(tmp_path, [multi("a", "none_of_these", minute=1), multi("a", "yes", BOOTS, 2)], "themes")
    assert found is not None and found.yes == (SHOES, BOOTS)
    assert outcome(tmp_path, [multi("a", "yes", BOOTS), multi("b", "none_of_these")], "themes") is None


@pytest.mark.parametrize(
    ("answers", "yes", "no"),
    [
        ([("a", "yes", BOOTS)], {SHOES, BOOTS}, set()),
        ([("a", "no", SHOES)], set(), {SHOES, BOOTS, SANDALS}),
        ([("a", "no", BOOTS)], set(), {BOOTS}),
        ([("a", "yes", SHOES)], {SHOES}, set()),
        # Of what contradicts itself, the newer counts.
        ([("a", "yes", BOOTS), ("a", "no", SHOES)], set(), {SHOES, BOOTS, SANDALS}),
        ([("a", "no", SHOES), ("a", "yes", BOOTS)], {SHOES, BOOTS}, set()),
        ([("a", "no", SANDALS), ("a", "yes", BOOTS)], {SHOES, BOOTS}, {SANDALS}),
        # Two people: what one implies is a voice against the other.
        ([("a", "yes", BOOTS), ("b", "no", SHOES)], set(), {SANDALS}),
        ([("a", "yes", BOOTS), ("b", "yes", BOOTS), ("c", "no", SHOES)], {SHOES, BOOTS}, {SANDALS}),
        ([("a", "yes", BOOTS), ("a", "retracted", BOOTS)], set(), set()),
    ],
)
def test_a_yes_implies_what_is_above_and_a_no_what_is_below(tmp_path, answers, yes, no):
    rows = [multi(who, value, about, minute) for minute, (who, value, about) in enumerate(answers)]
    found = outcome(tmp_path, rows, "themes")
    if not yes and not no:
        assert found is None
    else:
        assert found is not None and (set(found.yes), set(found.no)) == (yes, no)


def test_models_are_counted_and_used_where_they_are_asked_for(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(
        json.dumps(row("m", "yes", BOOTS, source="model")) + "\n" + json.dumps(multi("m", "yes", HATS, source="model"))
    )
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    resolved = resolve(log, include_model=["themes"])
    assert resolved.modelled == {"kind": 1, "themes": 1} and resolve(log).modelled == resolved.modelled
    assert (resolved["kind"], set(resolved["themes"])) == ({}, {"p"})


def test_multi_label_is_random_only_if_every_category_is(tmp_path):
    chance = {"source": "random", "inclusion_probability": 0.5}
    both = [multi("a", "yes", BOOTS, **chance), multi("a", "no", HATS, **chance)]
    found = outcome(tmp_path, both, "themes")
    assert found is not None and (found.source, found.inclusion_probability) == ("random", 0.5)
    found = outcome(tmp_path, [both[0], multi("a", "no", HATS)], "themes")
    assert found is not None and (found.source, found.inclusion_probability) == ("margin", None)


rows_ = st.lists(
    st.builds(
        lambda product, who, answer, minute: row(who, answer[0], answer[1], minute) | {"product_id": product},
        st.sampled_from("pq"),
        st.sampled_from("abc"),
        st.sampled_from(
            [("yes", BOOTS), ("yes", HATS), ("no", BOOTS), ("none_of_these", None), ("skip", None), ("retracted", None)]
        ),
        st.integers(0, 3),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(rows=rows_)
def test_exclusive_labels_equal_a_plain_count(tmp_path_factory, rows):
    expected = {}
    for product in "pq":
        newest: dict[str, dict] = {}
        for answer in rows:
            old = newest.get(answer["annotator"])
            if answer["product_id"] == product and (old is None or answer["time"] >= old["time"]):
                newest[answer["annotator"]] = answer
        voters = [r for r in newest.values() if r["value"] in ("yes", "none_of_these")]
        for choice, count in Counter(r["category"] for r in voters).items():
            against = sum(r["value"] == "no" and r["category"] == choice for r in newest.values())
            if count > (len(voters) + against) / 2:
                expected[product] = choice
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    resolved = resolve(read_labels(path, TAXONOMY, OBJECTIVES))
    assert {product: label.category_id for product, label in resolved["kind"].items()} == expected
    answered = {r["product_id"] for r in rows}
    assert sum(resolved.unresolved["kind"].values()) == len(answered - expected.keys())


def test_summaries(tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [
        row("a", "yes", BOOTS, source="random", inclusion_probability=0.5),
        row("b", "yes", BOOTS),
        row("a", "none_of_these") | {"product_id": "q"},
        row("a", "skip") | {"product_id": "r"},
        row("a", "yes", BOOTS) | {"product_id": "s"},
        row("b", "yes", HATS) | {"product_id": "s"},
        multi("a", "no", HATS, source="import"),
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    assert log.summary().per_source() == {"kind": {"margin": 5, "random": 1}, "themes": {"import": 1}}
    assert log.summary().total == len(log) == 7
    resolved = resolve(log)
    assert resolved.summary().per_source() == {"kind": {"margin": 1, "random": 1}, "themes": {"import": 1}}
    values = {(count.objective, count.value): count.number for count in resolved.summary().counts}
    assert values == {("kind", "yes"): 1, ("kind", "none_of_these"): 1, ("themes", "no"): 1}
    assert resolved.unresolved == {"kind": {"no_answer": 1, "tie": 1}, "themes": {}}
    assert resolved.fingerprint == log.fingerprint


def test_chunks_do_not_change_anything(tmp_path, monkeypatch):
    rng = random.Random(3)
    answers = [("yes", BOOTS), ("yes", HATS), ("none_of_these", None), ("retracted", None)]
    rows = [
        row(rng.choice("abc"), *rng.choice(answers), rng.randrange(5)) | {"product_id": f"p{rng.randrange(40)}"}
        for _ in range(400)
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    whole = resolve(log)
    monkeypatch.setattr("modules.labels.aggregation._CHUNK", 7)
    assert resolve(log) == whole and len(whole["kind"]) > 10
