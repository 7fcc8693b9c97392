"""Label files: every row comes back, every mistake is told with file and line."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime

import pytest

from modules.errors import InputError, Problem
from modules.labels import LabelRow, read_labels
from modules.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals"])
BOOTS = TAXONOMY.find("Shoes > Boots").id
OBJECTIVES = {"kind": "exclusive", "themes": "multi_label"}
GOOD = {
    "product_id": "p-1",
    "objective": "kind",
    "category": "Shoes > Boots",
    "value": "yes",
    "annotator": "ann",
    "time": "2026-03-01T09:30:00Z",
    "batch": "r1",
    "source": "random",
    "inclusion_probability": 0.125,
}


def problems(path) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        read_labels(path, TAXONOMY, OBJECTIVES)
    return list(caught.value.problems)


def lines(*rows: dict | str | bytes) -> bytes:
    return b"".join(
        (r if isinstance(r, bytes) else (r if isinstance(r, str) else json.dumps(r)).encode()) + b"\n" for r in rows
    )


def test_rows_come_back(tmp_path):
    second = GOOD | {
        "category": None,
        "value": "skip",
        "batch": None,
        "source": "margin",
        "inclusion_probability": None,
    }
    third = GOOD | {"product_id": "é 靴", "category": ["Shoes", "Boots"], "inclusion_probability": 1}
    del second["batch"], second["inclusion_probability"], second["category"]
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines(GOOD, "", second))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(third).rstrip()))
    log = read_labels([tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"], TAXONOMY, OBJECTIVES)
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert list(log) == [
        LabelRow("p-1", "kind", BOOTS, "yes", "ann", at, "r1", "random", 0.125),
        LabelRow("p-1", "kind", None, "skip", "ann", at, None, "margin", None),
        LabelRow("é 靴", "kind", BOOTS, "yes", "ann", at, "r1", "random", 1.0),
    ]


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"category": "Shoe > Boots"}, "category", "did you mean 'Shoes > Boots'?"),
        ({"category": ["Shoes", "Boot"]}, "category", "did you mean 'Shoes > Boots'?"),
        ({"category": "Shoes"}, "category", "exclusive"),
        ({"category": None}, "category", "expected a category"),
        ({"category": 7}, "category", "expected null"),
        ({"category": ""}, "category", "expected null"),
        ({"category": {"id": 1}}, "category", "expected null"),
        ({"category": "\ud800"}, "category", "Unicode"),
        ({"value": "none_of_these"}, "category", "expected null"),
        ({"value": "yess"}, "value", "did you mean 'yes'?"),
        ({"value": True}, "value", "expected a text"),
        ({"value": ["yes"]}, "value", "expected a text"),
        ({"objective": "kinds"}, "objective", "did you mean 'kind'?"),
        ({"objective": None}, "objective", "expected a text"),
        ({"product_id": 7.5}, "product_id", "expected a text"),
        ({"product_id": True}, "product_id", "expected a text"),
        ({"product_id": ""}, "product_id", "expected a text"),
        ({"product_id": "x" * 1001}, "product_id", "expected a text"),
        ({"product_id": "\udfff"}, "product_id", "Unicode"),
        ({"annotator": None}, "annotator", "expected a text"),
        ({"source": ""}, "source", "expected a text"),
        ({"batch": 3}, "batch", "expected a text"),
        ({"time": "yesterday"}, "time", "ISO 8601"),
        ({"time": "2026-02-30T00:00:00Z"}, "time", "ISO 8601"),
        ({"time": 1767225600}, "time", "ISO 8601"),
        ({"time": None}, "time", "ISO 8601"),
        ({"inclusion_probability": 0}, "inclusion_probability", "over 0"),
        ({"inclusion_probability": 1.01}, "inclusion_probability", "over 0"),
        ({"inclusion_probability": float("nan")}, "inclusion_probability", "over 0"),
        ({"inclusion_probability": float("inf")}, "inclusion_probability", "over 0"),
        ({"inclusion_probability": True}, "inclusion_probability", "over 0"),
        ({"inclusion_probability": "0.5"}, "inclusion_probability", "over 0"),
        ({"inclusion_prob": 0.5}, "inclusion_prob", "did you mean 'inclusion_probability'?"),
        ({"\ud800": 0.5}, "\ud800", "unknown key"),
    ],
)
def test_bad_rows(tmp_path, change, key, says):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(lines(GOOD, GOOD | change, GOOD))
    (found,) = problems(path)
    assert (found.file, found.line, found.key) == (str(path), 2, key)
    assert says in str(found)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected an object"),
        (b"7", "expected an object"),
        (b'{"a": 1} {"b": 2}', "something follows"),
        (b'{"product_id": "\xff"}', "not UTF-8"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"product_id": ' + b"9" * 5000 + b"}", "not JSON"),
        (b" " * 70_000, "64 KiB"),
        (b'{"product_id": "' + b"x" * 3_000_000 + b'"}', "64 KiB"),
    ],
)
def test_bad_lines_do_not_hide_those_after_them(tmp_path, line, says):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(lines(GOOD, line, GOOD, GOOD | {"value": "x"}))
    found = problems(path)
    assert [p.line for p in found] == [2, 4]
    assert says in found[0].expected


def test_mistakes_of_all_files_up_to_a_limit(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(GOOD | {"value": "x"}))
    (tmp_path / "b.jsonl").write_bytes(lines(*[GOOD | {"category": f"Nothing {i}"} for i in range(5000)]))
    start = time.process_time()
    found = problems([tmp_path / "a.jsonl", tmp_path / "none.jsonl", tmp_path / "b.jsonl"])
    assert len(found) == 101 and str(found[-1]) == "and 4,902 more"
    assert found[0].file.endswith("a.jsonl") and "cannot be read" in found[1].expected
    assert time.process_time() - start < 2


@pytest.mark.parametrize("cut", [5, -10])
def test_a_broken_archive(tmp_path, cut):
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(gzip.compress(lines(*[GOOD | {"product_id": f"p{i}"} for i in range(50)]))[:cut])
    assert "cannot be read" in problems(path)[-1].expected
    path.write_bytes(b"no archive")
    assert "cannot be read" in problems(path)[-1].expected


def test_fingerprint_is_of_the_rows_not_of_the_archive(tmp_path):
    plain, packed, other = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    plain.write_bytes(lines(GOOD, GOOD))
    packed.write_bytes(gzip.compress(lines(GOOD, GOOD)))
    other.write_bytes(lines(GOOD, GOOD | {"value": "skip", "category": None}))
    prints = [read_labels(path, TAXONOMY, OBJECTIVES).fingerprint for path in (plain, packed, other)]
    assert prints[0] == prints[1] != prints[2]


def test_no_rows(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert len(read_labels(tmp_path / "a.jsonl", TAXONOMY, OBJECTIVES)) == 0
    assert len(read_labels([], TAXONOMY, OBJECTIVES)) == 0


def test_rows_are_cheap_in_time_and_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "labels.jsonl"
    with path.open("w") as file:
        for i in range(20_000):
            file.write(json.dumps(GOOD | {"product_id": f"p{i % 1000}", "annotator": f"a{i % 7}"}) + "\n")
    start = time.process_time()
    assert len(read_labels(path, TAXONOMY, OBJECTIVES)) == 20_000
    assert time.process_time() - start < 5
    tracemalloc.start()
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 45 bytes of columns a row, spare room in the arrays, and 1,000 ids.
    assert len(log) == 20_000 and kept < 2_500_000


def ids_and_paths(log) -> list[tuple[str, str, str | None]]:
    paths = {category.id: category.text for category in TAXONOMY}
    return [(row.product_id, row.objective, paths.get(row.category)) for row in log]


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_table_of_products_and_categories_is_enough(tmp_path, name, end, mark):
    rows = [["Product_ID ", "category"], [" 0000 ", "Shoes > Boots"], [], ["7", "Shoes > Sandals"], ["8", ""], [""]]
    text = "\ufeff" + end.join(mark.join(cells) for cells in rows)
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    assert ids_and_paths(log) == [("0000", "kind", "Shoes > Boots"), ("7", "kind", "Shoes > Sandals")]
    assert {(row.value, row.annotator, row.source, row.time) for row in log} == {
        ("yes", "import", "import", datetime(1970, 1, 1, tzinfo=UTC))
    }
    (assumed, passed_over) = log.assumed.sentences()
    assert assumed.startswith("assumed for 2 rows: value yes, annotator import, source import, time 1970")
    assert assumed.endswith("objective kind") and passed_over == "passed over: 1 row without a category"


def test_a_spreadsheet_s_own_delimiter_line_and_columns(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('sep=;\nproduct_id;title;category\n1;"a; b\nc";Shoes > Boots\n2;x;Shoes > Boot\n')
    (problem,) = problems(path)
    assert (problem.line, problem.value) == (5, "Shoes > Boot") and "did you mean 'Shoes > Boots'?" in str(problem)
    path.write_text("sep=;\nproduct_id;title;category\n1;a;Shoes > Boots\n")
    log = read_labels(path, TAXONOMY, OBJECTIVES)
    assert len(log) == 1 and log.assumed.columns == {str(path): ("title",)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,category\n1,Shoes > Boots\n", "expected a header with product_id"),
        ("product_id,category,product_id\n1,Shoes > Boots,2\n", "once at most"),
        ("product_id,categroy\n1,Shoes > Boots\n", "did you mean 'category'?"),
        ("product_id,category\n1,Shoes > Boots,3\n", "expected 2 columns as in the header, not 3"),
        ('product_id,category\n1,"Shoes', "cannot be read as CSV"),
        ("product_id,category,objective\n1,Shoes > Boots,kinds\n", "did you mean 'kind'?"),
    ],
)
def test_tables_that_are_refused_in_words(tmp_path, text, says):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    (problem,) = problems(path)
    assert problem.file == str(path) and says in str(problem)


def test_what_a_row_leaves_out_is_assumed_only_where_it_is_clear(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(lines({"product_id": 12, "category": BOOTS}, {"product_id": 12.0, "category": BOOTS}))
    assert ids_and_paths(read_labels(path, TAXONOMY, OBJECTIVES)) == [("12", "kind", "Shoes > Boots")] * 2
    assert len(read_labels(path, TAXONOMY, {"themes": "multi_label"})) == 2
    with pytest.raises(InputError, match="there are kind, other"):
        read_labels(path, TAXONOMY, {"kind": "exclusive", "other": "exclusive"})
