"""Every reader of files that come from outside answers with exit code 0 or 2 and sentences, whatever the file holds."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.outside import NASTY, changed, check, damaged, fuzz

TAXONOMY = {
    "categories": [
        {"path": "Shoes"},
        {"path": "Shoes > Boots", "exclusive": True, "id": "boots"},
        {"name": "Hats", "parent": "Shoes", "exclusive": True},
        {"path": ["Bags"], "exclusive": True, "name": "All bags"},
    ]
}
RULES = {
    "rules": [
        {"id": "a", "category": "Shoes > Boots", "when": {"field": "title", "word": ["boot", "boots"]}},
        {
            "id": "b",
            "category": "Bags",
            "when": {"all": [{"field": "title", "regex": "bags?"}, {"not": {"field": "brand", "equals": "x"}}]},
        },
    ]
}
LABELS = [
    {
        "product_id": str(i),
        "objective": "exclusive",
        "category": "Shoes > Boots",
        "value": "yes",
        "annotator": "ann",
        "time": "2026-03-01T09:30:00Z",
        "source": "random",
        "inclusion_probability": 0.5,
        "batch": "b1",
    }
    for i in range(3)
]
FEED = [
    {
        "id": str(i),
        "title": "red boots",
        "brand": "x",
        "price": 9.9,
        "raw_category": "Shoes > Boots",
        "extra": {"url": "a"},
        "image": "a.jpg",
        "v": [1.0, 2.0],
    }
    for i in range(5)
]
WORKFLOW: dict[str, Any] = {
    "name": "shop",
    "feed": {
        "files": ["feed.jsonl"],
        "fields": {"id": "id", "title": "title", "truth": "raw_category", "raw_category": None},
    },
    "taxonomy": {"file": "taxonomy.yaml"},
    "rules": {"file": "rules.yaml"},
    "labels": {"files": ["labels.jsonl"]},
    "features": {"title": {"kind": "text", "vocabulary": 100}},
    "objectives": {"exclusive": {"kind": "exclusive"}},
    "evaluation": {"thresholds": {"exclusive": {"accuracy": 0.5}}},
}
QUESTION = {"query": "1", "a": "2", "b": "3", "methods": ["x", "y"]}
TASKS = [
    {
        "id": 1,
        "data": {
            "product_id": "1",
            "text": "red boots",
            "shelfmark": {"objective": "exclusive", "category": None, "batch": "b", "source": "random"},
        },
        "annotations": [
            {
                "completed_by": {"id": 3, "email": "a@example.org"},
                "was_cancelled": False,
                "lead_time": 3.5,
                "created_at": "2026-03-01T09:30:00Z",
                "result": [
                    {
                        "type": "taxonomy",
                        "value": {"taxonomy": [["Shoes", "Boots"]]},
                        "meta": {
                            "shelfmark": {
                                "annotator": "ann",
                                "source": "random",
                                "time": "2026-03-01T09:30:00Z",
                                "value": "yes",
                                "category": "boots",
                                "path": ["Shoes", "Boots"],
                            }
                        },
                    }
                ],
            }
        ],
    },
    {
        "data": {"product_id": "2"},
        "annotations": [
            {
                "result": [{"type": "choices", "value": {"choices": ["none of these"]}}],
                "completed_by": 1,
                "created_at": "2026-03-01T09:30:00Z",
            }
        ],
    },
]
PICKS = [
    {
        "rank": i,
        "product_id": str(i),
        "objective": "exclusive",
        "category": None,
        "utility": 0.5,
        "strategy": "margin",
        "source": "margin",
        "inclusion_probability": None,
        "round": 1,
        "seed": 7,
        "model": "m",
        "split": "train",
        "suggestions": [{"category": "boots", "probability": 0.9}],
        "parts": {"margin": 0.5},
        "reason": "label_error",
        "given": "boots",
        "suggested": "boots",
        "score": 0.3,
        "annotators": ["ann"],
    }
    for i in range(3)
]


def as_csv(rows: Any) -> bytes:
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        cells = (row.get(name) for name in names)
        writer.writerow("" if cell is None else cell if isinstance(cell, str) else json.dumps(cell) for cell in cells)
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def as_jsonl(rows: Any) -> bytes:
    return b"".join(as_json(row) + b"\n" for row in rows) if isinstance(rows, list) else as_json(rows)


def as_yaml(document: Any) -> bytes:
    text = yaml.dump(document, allow_unicode=False, sort_keys=False)
    return str(text).encode("utf-8", "surrogatepass")


def as_gzip(rows: Any) -> bytes:
    return gzip.compress(as_jsonl(rows), mtime=0)


def as_parquet(rows: Any) -> bytes:
    rows = [row for row in rows if isinstance(row, dict) and row] if isinstance(rows, list) else []
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        try:
            columns[name.encode("utf-8", "replace").decode()] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError, UnicodeError, ValueError):
            columns[name.encode("utf-8", "replace").decode()] = pa.array(
                [str(row.get(name))[:9].encode("utf-8", "replace") for row in rows]
            )
    file = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), file)
    except pa.ArrowException:
        pq.write_table(pa.table({"id": pa.array([1])}), file)
    return file.getvalue()


def broken(document: Any, form: Callable[[Any], bytes]) -> st.SearchStrategy[bytes]:
    """The document in a form, with something else in it, or with its bytes damaged."""
    return changed(document).map(form) | damaged(form(document))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a workflow needs."""
    folder = tmp_path_factory.mktemp("shop")
    write(folder)
    return folder


def write(folder: Path, **changes: bytes) -> Path:
    """Writes the shop anew, and nothing else into its folder; gives the workflow's path."""
    files = {
        "shop.yaml": as_yaml(WORKFLOW),
        "feed.jsonl": as_jsonl(FEED),
        "taxonomy.yaml": as_yaml(TAXONOMY),
        "rules.yaml": as_yaml(RULES),
        "labels.jsonl": as_jsonl(LABELS),
    }
    for old in folder.iterdir():
        if old.is_file() and old.name not in files:
            old.unlink()
    for name, raw in {**files, **changes}.items():
        (folder / name).write_bytes(raw)
    return folder / "shop.yaml"


def test_the_shop_is_fine(shop: Path) -> None:
    assert check("validate", write(shop))[0] == 0


@fuzz
@given(raw=broken(WORKFLOW, as_yaml) | broken(WORKFLOW, as_json))
def test_workflow(shop: Path, raw: bytes) -> None:
    check("validate", write(shop, **{"shop.yaml": raw}))


@fuzz
@given(
    key=st.sampled_from(
        ["feed.files", "features.title.vocabulary", "seed", "feed", "a..b", "=", "objectives.exclusive"]
    ),
    value=st.sampled_from(NASTY).map(str) | st.text(max_size=30),
)
def test_overrides(shop: Path, key: str, value: str) -> None:
    check("validate", write(shop), "--set", f"{key}={value}")


@pytest.mark.parametrize(
    ("suffix", "form"), [("yaml", as_yaml), ("json", as_json), ("jsonl", as_jsonl), ("csv", as_csv)]
)
def test_taxonomy(shop: Path, suffix: str, form: Callable[[Any], bytes]) -> None:
    document: Any = TAXONOMY if suffix in ("yaml", "json") else TAXONOMY["categories"]

    @fuzz
    @given(raw=broken(document, form))
    def attack(raw: bytes) -> None:
        workflow = write(shop, **{f"taxonomy.{suffix}": raw})
        check("validate", workflow, "--set", f"taxonomy.file=taxonomy.{suffix}")

    attack()


@fuzz
@given(raw=broken(RULES, as_yaml), inner=broken(RULES, as_json))
def test_rules(shop: Path, raw: bytes, inner: bytes) -> None:
    check("validate", write(shop, **{"rules.yaml": raw}))
    check("validate", write(shop, **{"rules.json": inner}), "--set", "rules.file=rules.json")


@fuzz
@given(raw=broken(LABELS, as_jsonl), packed=broken(LABELS, as_gzip))
def test_label_files_of_a_workflow(shop: Path, raw: bytes, packed: bytes) -> None:
    check("validate", write(shop, **{"labels.jsonl": raw}))
    check("validate", write(shop, **{"labels.jsonl.gz": packed}), "--set", "labels.files=[labels.jsonl.gz]")


@pytest.mark.parametrize(
    ("suffix", "form"),
    [("jsonl", as_jsonl), ("jsonl.gz", as_gzip), ("csv", as_csv), ("tsv", as_csv), ("parquet", as_parquet)],
)
def test_feeds(shop: Path, tmp_path: Path, suffix: str, form: Callable[[Any], bytes]) -> None:
    @fuzz
    @given(raw=broken(FEED, form))
    def attack(raw: bytes) -> None:
        workflow = write(shop, **{f"feed.{suffix}": raw})
        check("validate", workflow, "--set", f"feed.files=[feed.{suffix}]")
        made = tmp_path / "made"
        code, _ = check("init", shop / f"feed.{suffix}", "--output", made, "--name", "shop", "--force")
        if code == 0:
            # What it writes from a feed's texts is read again.
            check("validate", made / "shop.yaml")

    attack()


@pytest.mark.parametrize(
    ("suffix", "form"),
    [("jsonl", as_jsonl), ("jsonl.gz", as_gzip), ("csv", as_csv), ("json", as_json), ("json.gz", as_json)],
)
def test_label_import(shop: Path, tmp_path: Path, suffix: str, form: Callable[[Any], bytes]) -> None:
    store = tmp_path / "labels.sqlite"
    document: Any = TASKS if "json." in f"{suffix}." and "jsonl" not in suffix else LABELS

    @fuzz
    @given(raw=broken(document, form))
    def attack(raw: bytes) -> None:
        file = tmp_path / f"given.{suffix}"
        file.write_bytes(raw)
        check("label", "import", file, "--workflow", write(shop), "--store", store)

    (tmp_path / f"given.{suffix}").write_bytes(form(document))
    if suffix != "json.gz":
        code, text = check("label", "import", tmp_path / f"given.{suffix}", "--workflow", write(shop), "--store", store)
        assert code == 0 and f"{len(document)} rows added" in text, text
    attack()


@fuzz
@given(raw=broken([QUESTION], as_jsonl))
def test_triplets(shop: Path, tmp_path: Path, raw: bytes) -> None:
    workflow = write(shop, **{"triplets.jsonl": raw})
    check("label", "import-triplets", shop / "triplets.jsonl", "--workflow", workflow, "--store", tmp_path / "t.sqlite")


@pytest.mark.parametrize(("suffix", "form"), [("jsonl", as_jsonl), ("parquet", as_parquet)])
@pytest.mark.parametrize("command", ["import-batch", "import-review"])
def test_batches_and_reviews(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, suffix: str, form: Callable[[Any], bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "batch"
    folder.mkdir()

    @fuzz
    @given(raw=broken(PICKS, form), facts=broken({"id": "b", "round": 1, "strategy": "margin"}, as_json))
    def attack(raw: bytes, facts: bytes) -> None:
        (folder / f"picks.{suffix}").write_bytes(raw)
        (folder / "facts.json").write_bytes(facts)
        check("label", command, folder, "--workflow", write(shop), "--store", tmp_path / "b.sqlite")

    attack()


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (i, i, b", ".join([b"*%c" % (i - 1)] * 9)) for i in range(ord("b"), ord("j"))
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"\0",
        b"---\n---\n",
        b"{" * 100_000,
        b"[" * 100_000,
        b"- " * 50_000,
        BOMB,
        b"a: &a [*a]",
        b"&a a: *a",
        b"*a",
        b"a: 1\na: 2\n",
        b"? [a]\n: b\n",
        b"!!python/object:os.system x",
        b"a: !!binary x",
        b"a: " + b"9" * 6000,
        b"a: 1e999999",
        b"a: 0x" + b"f" * 5000,
        b"a: 2026-99-99",
        b"a: 0o9",
        b"\xff\xfea\0:\0",
        b"\xef\xbb\xbf\xef\xbb\xbfname: x",
        b"a:\t- b",
        b"%YAML 9.9\n--- a",
        b'"\\ud800": 1',
        b'{"a": "\\ud800"}',
        b"a: |\n  x\n y",
        b"\x85a: b",
        "a: \u2028 b".encode(),
        b"<<: {a: 1}",
        b"@",
        b"`",
        b"% ",
        b'{"categories": [{"path": ' + b"[" * 3000 + b"]" * 3000 + b"}]}",
        b"[1" + b", 1" * 200_000 + b"]",
        b'{"' + b'a": {"' * 2000,
        zlib.compress(b"x"),
        gzip.compress(b"x", mtime=0)[:-3],
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_files_made_to_harm(shop: Path, tmp_path: Path, raw: bytes) -> None:
    check("validate", write(shop, **{"shop.yaml": raw}))
    for name, key in (("taxonomy", "taxonomy.file"), ("rules", "rules.file")):
        for suffix in ("yaml", "json", "jsonl", "csv"):
            workflow = write(shop, **{f"harm.{suffix}": raw})
            check("validate", workflow, "--set", f"{key}=harm.{suffix}", "--set", f"labels.files=[{name}.yaml]")
    for suffix in ("jsonl", "csv", "json", "jsonl.gz"):
        (tmp_path / f"harm.{suffix}").write_bytes(raw)
        check(
            "label", "import", tmp_path / f"harm.{suffix}", "--workflow", write(shop), "--store", tmp_path / "s.sqlite"
        )
    for suffix in ("jsonl", "csv", "parquet", "jsonl.gz"):
        workflow = write(shop, **{f"feed-harm.{suffix}": raw})
        check("validate", workflow, "--set", f"feed.files=[feed-harm.{suffix}]")
        check("init", shop / f"feed-harm.{suffix}", "--output", tmp_path / "made", "--name", "shop", "--force")
