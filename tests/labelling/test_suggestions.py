"""Suggestions of other classifiers: programs and files that answer, what is kept of it, and what it counts.

The classifiers are Python programs that the tests write.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelling.content import Product
from labelling.store import Store, accounts, queue, rows, status, suggestions
from labelling.store.answering import Answer, give
from labelling.store.rows import Label
from labelling.suggesting.asking import Task, ask, take_file
from labelling.suggesting.command import Command
from labelling.suggesting.protocol import AnswerReader, Reply, json_rows
from modules.errors import InputError
from modules.labels import read_labels, resolve
from modules.metrics.intervals import wilson
from modules.taxonomy import Taxonomy
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES, TREE, WALLETS
from tests.labelling.suggesting import PATIENT, fails, run, said


def test_a_program_gets_products_and_categories_and_its_answers_are_kept(
    local: Store, program: Callable[..., Command], tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    answerer = program(
        f"open({str(log)!r}, 'a').writelines(json.dumps([head, p]) + '\\n' for p in products)\n"
        "for p in products: say(product_id=p['product_id'], category='Bags > Totes', confidence=0.75, cost=0.5)"
    )
    outcome = run(local, answerer, chunk=2)
    assert (outcome.asked, outcome.answered, outcome.cost) == (5, 5, 2.5)
    assert said(local) == {f"p{i}": ("yes", TOTES) for i in range(5)}
    head, first = orjson.loads(log.read_text().splitlines()[0])
    assert head["objective"] == "exclusive"
    assert [category["path"] for category in head["categories"]] == [category.text for category in TREE.exclusive]
    assert first["product_id"] == "p0" and first["product"]["title"] == "Title of p0"
    assert first["suggestions"][0] == {"category": BOOTS, "path": "Shoes > Boots", "probability": 0.6}
    with local.read() as connection:
        row = suggestions.of_product(connection, "p0", "exclusive")[0]
    assert (row.source, row.batch, row.confidence, row.suggestion) == ("model", "round-1", 0.75, BOOTS)
    # Nothing is left to ask.
    assert run(local, answerer).asked == 0 and len(log.read_text().splitlines()) == 5


def test_descriptions_and_synonyms_are_sent(tmp_path: Path, program: Callable[..., Command]) -> None:
    file = tmp_path / "tree.yaml"
    boots = "- {name: Boots, exclusive: true, description: High shoes., synonyms: [wellies]}\n"
    file.write_text(f"{boots}- {{name: Totes, exclusive: true}}\n", "utf-8")
    tree = Taxonomy.load(file)
    with Store(str(tmp_path / "labels.sqlite")) as store:
        shop.fill(store, shop.batch(1))
        with store.write() as connection:
            shop.importing.taxonomy(connection, tree, NOW + 1)
        answerer = program(
            "boots = [c['id'] for c in head['categories'] if c.get('synonyms') == ['wellies']"
            " and c.get('description') == 'High shoes.']\n"
            "say(product_id='p0', category=boots[0])"
        )
        run(store, answerer)
        assert said(store) == {"p0": ("yes", tree.find("Boots").id)}


GARBAGE = [
    ("print('{')", "not JSON", 1),
    ("print('[1]')", "expected an object", 1),
    ("say(product_id='p0', category='Shoes > Bots')", "not in the taxonomy; did you mean 'Shoes > Boots'", 1),
    ("say(product_id='p0', category='Shoes > Boots > No')", "not in the taxonomy", 1),
    ("say(product_id='p0', category=7)", "expected a category's id or path", 1),
    ("say(product_id='p77', category='Bags > Totes')", "expected one of the products that were asked about", 1),
    ("say(category='Bags > Totes')", "expected the id of a product", 1),
    ("say(product_id='p0')", "expected a category, or one of none_of_these, skip", 1),
    ("say(product_id='p0', value='none_of_these', category='Bags > Totes')", "and none with another one", 1),
    ("say(product_id='p0', category='Bags > Totes', confidence=1.5)", "expected a number from 0 to 1", 1),
    ("say(product_id='p0', category='Bags > Totes', cost=float('nan'))", "not JSON", 1),
    ("say(product_id='p0', category='Bags > Totes', cost=-1)", "expected a number from 0", 1),
    ("say(product_id='p0', category='Bags > Totes', sure=1)", "unknown key", 1),
    ("print('x' * 70000)", "at most 64 KiB", 1),
    ("sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "not JSON", 1),
    ("say(product_id='p1', category='Bags > Totes')\nsay(product_id='p1', category='Shoes > Boots')",
     "answered in a line above", 3),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected", "line"), GARBAGE)
def test_a_line_that_cannot_be_used_is_refused_by_its_number_and_the_others_count(
    local: Store, program: Callable[..., Command], lines: str, expected: str, line: int
) -> None:
    good = "say(product_id='p4', category=['Bags', 'Wallets'])\n"
    answerer = program(f"{lines}\n{good}" if line == 1 else good + lines)
    outcome = run(local, answerer)
    (problem,) = outcome.refused
    assert expected in str(problem) and f":{line}" in str(problem)
    kept = said(local)
    assert kept.pop("p4") == ("yes", WALLETS) and set(kept) == ({"p1"} if line == 3 else set())
    # What has no answer is asked about again.
    with local.read() as connection:
        left = suggestions.wanted(connection, "parrot", "exclusive", "batch", {BOOTS, SANDALS, WALLETS, TOTES})
    assert left == [f"p{i}" for i in range(5) if f"p{i}" not in {"p4", *kept}]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=4)
)
def test_no_reply_breaks_the_reader_or_becomes_an_answer_that_was_not_asked_for(data: bytes, value: Any) -> None:
    row = {"product_id": value, "category": value, "confidence": value}
    lines = data + b"\n" + json.dumps(row, default=str).encode("utf-8", "replace")
    lines += b"\n" + json.dumps({"product_id": "p0", "category": value, "cost": value}).encode("utf-8", "replace")
    categories = [BOOTS, SANDALS]
    answers = AnswerReader(TREE, categories).read(json_rows(Reply(lines), "here"), "here", ["p0"])
    assert len(answers.usable) <= 1
    assert all(answer.product_id == "p0" and answer.category in (*categories, None) for answer in answers.usable)
    str(list(answers.refused))


def test_skips_and_none_of_these_are_answers(local: Store, program: Callable[..., Command]) -> None:
    run(local, program("say(product_id='p0', value='skip')\nsay(product_id='p1', value='none_of_these')"), limit=2)
    assert said(local) == {"p0": ("skip", None), "p1": ("none_of_these", None)}
    with local.read() as connection:
        assert suggestions.of_product(connection, "p1", "exclusive") == []


def test_a_program_that_dies_midway_loses_nothing_and_the_next_call_goes_on(
    local: Store, program: Callable[..., Command]
) -> None:
    dying = program(
        "say(product_id='p0', category='Bags > Totes')\n"
        'sys.stdout.write(\'{"product_id": "p1", "categ\'); sys.stdout.flush()\n'
        "sys.stderr.write('out of \\x1b[31mcredit\\n'); sys.exit(3)"
    )
    error = fails(local, dying, chunk=2)
    assert "exit status 3" in error and "out of \\x1b[31mcredit" in error and "1 answer is kept" in error
    assert said(local) == {"p0": ("yes", TOTES)}
    outcome = run(local, program("for p in products: say(product_id=p['product_id'], category='Shoes > Boots')"))
    assert outcome.asked == 4
    assert said(local) == {"p0": ("yes", TOTES)} | {f"p{i}": ("yes", BOOTS) for i in range(1, 5)}


def test_a_program_that_hangs_is_ended_with_what_it_started_and_its_answers_stay(
    local: Store, program: Callable[..., Command], tmp_path: Path
) -> None:
    children = tmp_path / "pids"
    hanging = program(
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(children)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "say(product_id='p0', category='Bags > Totes')\ntime.sleep(600)",
        timeout=5.0,
    )
    assert "did not end in time (--timeout)" in fails(local, hanging)
    assert said(local) == {"p0": ("yes", TOTES)}
    for pid in map(int, children.read_text().split()):
        assert _ends(pid)


def _ends(pid: int) -> bool:
    """Whether a process that was killed is gone, or dead and not yet buried: the kernel may need a moment."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # It can be read when the process has ended.
        return bool(select.select([process], [], [], PATIENT)[0])
    finally:
        os.close(process)


def test_endless_output_is_cut(local: Store, program: Callable[..., Command]) -> None:
    error = fails(local, program("while True: sys.stdout.write('x' * 1_000_000)"))
    assert "longer than 16 MiB" in error


def test_a_program_that_reads_nothing_and_one_that_talks_much_on_standard_error(
    local: Store, tmp_path: Path, program: Callable[..., Command]
) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text('print(\'{"product_id": "p0", "category": "Bags > Totes"}\')', "utf-8")
    assert run(local, Command(f"'{sys.executable}' '{deaf}'", PATIENT)).answered == 1
    loud = program("sys.stderr.write('noise ' * 500_000)\nsay(product_id='p1', category='Bags > Totes')")
    assert run(local, loud).answered == 1


@pytest.mark.parametrize("text", ["", "'open", "/no/such/program --x", "/"])
def test_a_program_that_cannot_be_started(local: Store, text: str) -> None:
    with pytest.raises(InputError, match="--command"):
        run(local, Command(text, PATIENT))
    assert said(local) == {}


def test_no_shell_reads_the_command(local: Store, tmp_path: Path, program: Callable[..., Command]) -> None:
    program("for p in products: say(product_id=p['product_id'], category=sys.argv[1])")
    marker = tmp_path / "marker"
    command = f"'{sys.executable}' '{tmp_path}/classifier.py' 'Bags > Totes' ; touch {marker}"
    assert run(local, Command(command, PATIENT)).answered == 5
    assert not marker.exists()


def test_replies_without_one_usable_line_end_it_before_more_is_spent(
    local: Store, program: Callable[..., Command], tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    answerer = program(f"open({str(starts)!r}, 'a').write('x')\nsay(product_id='p0', category='Nonsense', cost=2)")
    error = fails(local, answerer, chunk=1)
    assert "none of its lines answers" in error and "'Nonsense'" in error
    assert starts.read_text() == "xxx"
    # One request for all, and nothing of it can be used. What it cost is known all the same.
    fails(local, answerer, cost_per_product=0.5)
    with local.read() as connection:
        assert suggestions.agreement(connection, "parrot", "exclusive").cost == 4 * 2 + 5 * 0.5


def test_products_that_are_never_answered_well_keep_nobody_from_the_others(
    local: Store, program: Callable[..., Command]
) -> None:
    answerer = program(
        "for p in products: say(product_id=p['product_id'],"
        " category='Nonsense' if p['product_id'] in ('p0', 'p1', 'p4') else 'Bags > Totes')"
    )
    outcome = run(local, answerer, chunk=1)
    assert (outcome.asked, outcome.answered, len(outcome.refused)) == (5, 2, 3)
    assert set(said(local)) == {"p2", "p3"}


# Files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "product_id;category;confidence;cost\np0;Bags > Totes;0.5;0.25\np1;Shoes > Boots;;0.25\np2;;;\n"
                  "elsewhere;Bags > Totes;;9\n"),
        ("a.jsonl", '{"product_id": "p0", "category": "Bags > Totes", "confidence": 0.5, "cost": 0.25}\n'
                    '{"product_id": "p1", "category": ["Shoes", "Boots"], "cost": 0.25}\n'
                    '{"product_id": "elsewhere", "category": "Bags > Totes", "cost": 9}\n'),
    ],
)  # fmt: skip
def test_a_file_gives_answers_to_the_products_of_the_batch(local: Store, tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    for added in (2, 0):
        outcome = take_file(local, Task("parrot"), file, lambda done, total: None)
        assert (outcome.answered, outcome.strangers) == (added, 3 - added)
    assert said(local) == {"p0": ("yes", TOTES), "p1": ("yes", BOOTS)}
    with local.read() as connection:
        assert suggestions.agreement(connection, "parrot", "exclusive").cost == 0.5


def test_a_file_of_nonsense_changes_nothing(local: Store, tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "product_id,category\np0,Nonsense\n"),
        ("a.csv", "sku\n7\n"),
        ("a.jsonl", "nothing\n"),
    ):
        file = tmp_path / name
        file.write_text(text, "utf-8")
        with pytest.raises(InputError, match=name):
            take_file(local, Task("parrot"), file, lambda done, total: None)
    assert said(local) == {}


# What suggestions count


def person(store: Store, who: str, item: int, category: str | None, value: str = "yes", time: int = NOW) -> None:
    with store.write() as connection:
        give(connection, Answer(f"p{item - 1}", "exclusive", value, who, f"{who}-{item}-{time}", item, category), time)


def suggested(store: Store, *categories: str | None, time: int = NOW + 10, first: int = 0) -> None:
    with store.write() as connection:
        rows.append(connection, [
            Label(f"p{i}", "exclusive", c, "yes" if c else "none_of_these", "parrot", time, "model", confidence=0.5)
            for i, c in enumerate(categories, start=first)
        ])  # fmt: skip


def test_agreement_is_measured_against_the_majority_of_people(store: Store) -> None:
    shop.fill(store, shop.batch(8), wanted=3)
    for who, category in (("ann", BOOTS), ("bob", BOOTS), ("cem", SANDALS)):
        person(store, who, 1, category)  # the majority says boots
    person(store, "ann", 2, SANDALS)
    person(store, "ann", 3, None, "none_of_these")
    for who, category in (("ann", BOOTS), ("bob", SANDALS)):
        person(store, who, 4, category)  # a tie: no label
    person(store, "ann", 5, None, "skip")
    suggested(store, BOOTS, BOOTS, None, BOOTS, BOOTS, TOTES)
    person(store, "ann", 6, TOTES, time=NOW + 20)  # having seen it
    with store.write() as connection:
        request = suggestions.Request(6, 0, 3.0, 1.0)
        suggestions.keep(connection, "parrot", "exclusive", [], [], request, NOW)
        suggestions.keep(connection, "parrot", "exclusive", [], [], suggestions.Request(1, 0, None, 1.0), NOW)
    with store.read() as connection:
        (measured,) = suggestions.agreements(connection, status.kinds(connection))
    # Boots, not sandals, none of these, totes.
    assert (measured.answers, measured.products, measured.same) == (6, 4, 0.75)
    assert (measured.before, measured.same_before) == (3, pytest.approx(2 / 3))
    low, high = wilson(0.75, 4, 1.959964)
    assert (measured.lower, measured.upper) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert measured.cost == 3.0 and measured.cost_per_agreed == pytest.approx(3.0 / (6 * 0.75))


def test_a_person_is_neither_outvoted_nor_overwritten_nor_done_out_of_a_product(store: Store, tmp_path: Path) -> None:
    from labelling.store.snapshot import write_snapshot

    shop.fill(store, shop.batch(2))
    with store.write() as connection:
        for name in ("parrot", "magpie", "crow"):
            rows.append(
                connection, [Label(f"p{i}", "exclusive", TOTES, "yes", name, NOW + 50, "model") for i in (0, 1)]
            )
    with store.write() as connection:
        assert queue.take(connection, "ann", NOW) == 1
    person(store, "ann", 1, BOOTS)
    written = write_snapshot(store, tmp_path)
    log = read_labels(written.labels_file, TREE, shop.KINDS)
    labels = resolve(log)["exclusive"]
    assert set(labels) == {"p0"} and labels["p0"].category_id == BOOTS
    also = resolve(log, include_model=True)["exclusive"]
    assert also["p0"].category_id == BOOTS and also["p1"].source == "model"
    with store.read() as connection:
        assert status.annotators(connection) == [("ann", 1)]
        assert [queued.done for queued in status.queues(connection)] == [1]


def test_the_scope_says_which_products(local: Store) -> None:
    person(local, "ann", 1, BOOTS)
    with local.write() as connection:
        shop.importing.products(connection, [shop.product("other")], None, NOW)
        queue.close(connection, "round-1")
    ids = {category.id for category in TREE.exclusive}
    with local.read() as connection:

        def in_scope(scope: suggestions.Scope) -> list[str]:
            return suggestions.wanted(connection, "parrot", "exclusive", scope, ids)

        assert (in_scope("batch"), in_scope("labelled")) == ([], ["p0"])
        assert in_scope("all") == ["other", "p0", "p1", "p2", "p3", "p4"]


def test_predictions_do_not_give_peoples_labels_away(local: Store) -> None:
    with local.read() as connection:
        queued, _ = suggestions.questions(connection, "exclusive", ["p0", "p1"])
    assert queued.guesses == [(BOOTS, 0.6), (SANDALS, 0.3)]
    person(local, "ann", 1, TOTES)
    learnt = Product("p0", {"title": "x"}, predictions={"exclusive": ((TOTES, 0.99), (BOOTS, 0.01))})
    other = Product("p9", {"title": "y"}, predictions={"exclusive": ((WALLETS, 0.9),)})
    with local.write() as connection:
        shop.importing.products(connection, [learnt, other], "run-2", NOW)
    with local.read() as connection:
        labelled, unlabelled = suggestions.questions(connection, "exclusive", ["p0", "p9"])
    assert labelled.guesses == [] and labelled.fields == {"title": "x"}
    assert unlabelled.guesses == [(WALLETS, 0.9)]


def test_an_answer_whose_category_is_gone_is_asked_for_again(local: Store) -> None:
    suggested(local, BOOTS, TOTES)
    with local.read() as connection:
        wanted = suggestions.wanted(connection, "parrot", "exclusive", "batch", {BOOTS})
    assert wanted == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("name", ["ann", "anna", "", " parrot", "x" * 201, "a\nb"])
def test_the_name_of_a_person_is_refused(local: Store, program: Callable[..., Command], name: str) -> None:
    person(local, "ann", 1, BOOTS)
    with local.write() as connection:
        accounts.put(connection, "anna", NOW, password="correct horse battery")
    with pytest.raises(InputError, match="--by"):
        ask(local, Task(name), program(""), lambda done, total: None)


def test_objectives_with_several_categories_are_refused(local: Store, program: Callable[..., Command]) -> None:
    assert "one category per product" in fails(local, program(""), objective="rule_based")
    assert "there are exclusive" in fails(local, program(""), objective="nothing")
