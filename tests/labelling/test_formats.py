"""Label files: what one store writes, another one reads as the same log; and what a run reads."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelling.formats.files import export_labels, format_of, guarded, import_labels
from labelling.store import Store, queue, rows
from labelling.store.answering import Answer, give, undo
from labelling.store.rows import Label
from modules.errors import InputError
from modules.labels import read_labels
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES
from tests.modules.reporting.sample import HOSTILE

COLUMNS = (
    "product_id", "objective", "category", "value", "annotator", "time", "batch", "source", "inclusion_probability",
    "suggestion", "suggestion_probability", "model", "seconds", "note",
)  # fmt: skip


def log(store: Store) -> list[tuple[object, ...]]:
    with store.read() as connection:
        return [tuple(getattr(row, name) for name in COLUMNS) for row in rows.read(connection)]


def fresh(folder: Path, name: str) -> Store:
    """A store that knows the shop's taxonomy and objectives."""
    found = Store(folder / f"{name}.sqlite")
    shop.fill(found)
    return found


def lived_in(store: Store) -> None:
    """Labels of every kind: random and chosen, skipped, undone, carried over, multi-label, with notes."""
    items = [shop.item(i, source="random", inclusion_probability=0.25, model="m/7") for i in range(4)]
    shop.fill(store, shop.batch(items=items), shop.batch(3, "round-2", first=4))
    shop.near(store, "p0", "twin")
    with store.read() as connection:
        numbers = {i: n for n in range(1, 8) if (f := queue.item_of(connection, n)) for i in [f.product_id]}
    clock = itertools.count(NOW, 1_234_567)
    with store.write() as connection:

        def say(product: str, value: str, category: str | None, **more: object) -> None:
            values = {"objective": "exclusive", "item": numbers.get(product), "request": f"{product}-{value}", **more}
            who = str(values.pop("who", "ann"))
            give(connection, Answer(product, value=value, category=category, annotator=who, **values), next(clock))  # type: ignore

        say("p0", "yes", BOOTS, also=("twin",), seconds=2.5, note='=1+1 "quoted",\nnext line')
        say("p1", "none_of_these", None)
        say("p2", "skip", None, who="Zoë <b>")
        say("p4", "yes", TOTES, seconds=0.0)
        undo(connection, "ann", "u", next(clock))
        say("p4", "yes", SANDALS, request="again")
        say("p9", "no", BOOTS, objective="rule_based", item=None)
        say("p9", "yes", TOTES, objective="rule_based", item=None)


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_log_goes_there_and_back(tmp_path: Path, ending: str) -> None:
    file, again = tmp_path / f"labels{ending}", tmp_path / f"again{ending}"
    kind = format_of(file)
    with fresh(tmp_path, "one") as one, fresh(tmp_path, "two") as two:
        lived_in(one)
        assert len(log(one)) == 9
        assert export_labels(one, file, kind, full=True) == 9
        added = import_labels(two, [file], now=NOW)
        assert (added.added, added.known) == (9, 0)
        assert log(two) == log(one)
        # Once more, into where it came from: nothing new.
        assert import_labels(two, [file], now=NOW).known == 9 and import_labels(one, [file], now=NOW).added == 0
        export_labels(two, again, kind, full=True)
        assert again.read_bytes() == file.read_bytes()


def test_what_is_exported_is_what_a_workflow_reads(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with fresh(tmp_path, "one") as store:
        lived_in(store)
        export_labels(store, file, "jsonl")
        found = read_labels(file, shop.TREE, shop.KINDS)
        assert [(r.product_id, r.value, r.source) for r in found] == [(r[0], r[3], r[7]) for r in log(store)]
        assert export_labels(store, tmp_path / "standing.jsonl", "jsonl", all_rows=False) == 6
        assert export_labels(store, tmp_path / "one.jsonl", "jsonl", batch="round-2") == 3
        with pytest.raises(InputError, match="no such batch"):
            export_labels(store, tmp_path / "x.jsonl", "jsonl", batch="round-9")
        with pytest.raises(InputError, match="cannot be written"):
            export_labels(store, tmp_path / "no" / "x.jsonl", "jsonl")
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    with fresh(tmp_path, "two") as other:
        assert import_labels(other, [packed], now=NOW).added == 9


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=40))
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, two = fresh(folder, "one"), fresh(folder, "two")
        label = Label("p1", "exclusive", BOOTS, "yes", "ann", NOW, "import", note=text or None)
        with one.write() as connection:
            rows.append(connection, [label])
        export_labels(one, folder / "x.csv", "csv", full=True)
        with (folder / "x.csv").open(newline="", encoding="utf-8") as stream:
            (cells,) = list(csv.reader(stream))[1:]
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
        import_labels(two, [folder / "x.csv"], now=NOW)
        assert log(two) == log(one)
        one.close()
        two.close()


def test_formulas_are_guarded() -> None:
    for text in ("=1", "+1", "-1", "@x", " =1", "\t=1", "＝1", "'=1", "\r=1"):
        assert guarded(text) == "'" + text
    assert guarded("Boots - brown = nice") == "Boots - brown = nice"


GOOD = {"product_id": "p1", "objective": "exclusive", "category": "Shoes > Boots", "value": "yes", "annotator": "ann",
        "time": "2026-01-02T03:04:05Z", "batch": None, "source": "import", "inclusion_probability": None}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [({"category": "Shoes > Boot"}, "did you mean 'Shoes > Boots'"), ({"value": "maybe"}, "value"),
     ({"objective": "colour"}, "colour"), ({"time": "yesterday"}, "time"), ({"seconds": "fast"}, "seconds"),
     ({"note": "n" * 6000}, "note"), ({"annotator": ""}, "annotator"), ({"product_id": 7.5}, "product_id")],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_one_wrong_row_and_none_is_added(tmp_path: Path, change: dict[str, object], said: str) -> None:
    file = tmp_path / "x.jsonl"
    lines = [GOOD, {**GOOD, "product_id": "p2"}, {**GOOD, **change}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with fresh(tmp_path, "one") as store:
        with pytest.raises(InputError) as caught:
            import_labels(store, [file], now=NOW)
        assert f"{file}:3" in str(caught.value) and said in str(caught.value)
        assert log(store) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("x.jsonl", b"{broken\n", "not JSON"), ("x.jsonl", b"[1]\n", "an object"), ("x.csv", b"a,b\n1,2\n", "header"),
     ("x.jsonl", b'{"a": "' + b"x" * 70_000 + b'"}\n', "64 KiB"), ("x.csv", b"product_id,objective\n1\n", "columns"),
     ("x.csv", b"product_id\n\xff\n", "not UTF-8"),
     ("x.jsonl.gz", gzip.compress(b"{}" * 999, mtime=0)[:-9], "cannot"),
     ("x.txt", b"", "name that ends in"), ("x.json", b"{}", "x.json")],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with fresh(tmp_path, "one") as store, pytest.raises(InputError) as caught:
        import_labels(store, [file], now=NOW)
    assert said in str(caught.value)


def test_what_is_imported_is_not_asked_any_more(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps({**GOOD, "product_id": f"p{i}"}) + "\n" for i in (0, 2)))
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(3))
        import_labels(store, [file], now=NOW)
        with store.write() as connection:
            item = queue.take(connection, "bob", NOW)
            assert item is not None and queue.item_of(connection, item).product_id == "p1"  # type: ignore[union-attr]
            assert queue.take(connection, "cem", NOW) is None
    with Store(tmp_path / "empty.sqlite") as empty, pytest.raises(InputError, match="knows no taxonomy"):
        import_labels(empty, [file], now=NOW)
