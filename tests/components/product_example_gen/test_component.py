"""The component as TFX runs it: outputs, counts, quarantine, cache."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")
from tfx import v1 as tfx  # noqa: E402
from tfx.dsl.components.base import base_beam_executor  # noqa: E402
from tfx.orchestration import metadata  # noqa: E402
from tfx.types import standard_artifacts  # noqa: E402

import components  # noqa: E402
from components.product_example_gen import tasks  # noqa: E402
from components.product_example_gen.component import ProductExampleGen  # noqa: E402
from components.product_example_gen.driver import input_fingerprint  # noqa: E402
from components.product_example_gen.executor import ProductExampleGenExecutor  # noqa: E402
from components.workers import workers_of  # noqa: E402
from modules.errors import InputError  # noqa: E402
from modules.examples import TAXONOMY_FILE, Counts  # noqa: E402
from modules.feeds.plan import ExampleSettings  # noqa: E402
from modules.feeds.splitting import Splitter  # noqa: E402
from modules.settings.feed import SPLITS, SplitSettings  # noqa: E402
from modules.settings.workflow import Workflow  # noqa: E402
from modules.taxonomy import Taxonomy  # noqa: E402

IN_PROCESS = ["--runner=FnApiRunner"]
THREE_THREADS = ["--runner=FnApiRunner", "--direct_running_mode=multi_threading", "--direct_num_workers=3"]
WORDS = ["boot", "sandal", "lamp", "hat"]
TAXONOMY = "categories:\n" + "".join(
    f"  - {{path: '{path}', id: {name}, exclusive: {str(leaf).lower()}}}\n"
    for path, name, leaf in [
        ("Shoes", "shoes", False), ("Shoes > Boots", "boots", True), ("Shoes > Sandals", "sandals", True),
        ("Home", "home", False), ("Home > Lamps", "lamps", True),
    ]
)  # fmt: skip
RULES = """rules:
  - {id: r-boot, category: Shoes > Boots, when: {field: title, word: boot}}
  - {id: r-lamp, category: Home > Lamps, when: {field: title, word: lamp}}
"""


def label(product: int, category: str, source: str = "random") -> str:
    row = {"product_id": f"p{product}", "objective": "exclusive", "category": category, "value": "yes"}
    row |= {"annotator": "a", "time": "2026-01-01T00:00:00Z", "source": source}
    return json.dumps(row | ({"inclusion_probability": 0.5} if source == "random" else {})) + "\n"


def row(i: int, **more: Any) -> dict[str, Any]:
    return {"id": f"p{i}", "title": f"{WORDS[i % 4]} number {i}", "retailer": "shop"} | more


def catalogue(folder: Path, products: int = 120) -> None:
    """One file per format; the last rows of b repeat ids of a, and c has what is no product."""
    half = products // 2
    lines = [json.dumps(row(i)) for i in range(half)]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    rest = [json.dumps(row(i)) for i in range(half, products)] + [json.dumps(row(i, title="again")) for i in (3, 5)]
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(rest).encode()))
    (folder / "c.csv").write_text('id,title,retailer\n,no id,shop\nc1,"<b>lamp</b> &amp; co",shop\nc2,too,many,cells\n')
    (folder / "taxonomy.yaml").write_text(TAXONOMY)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "labels.jsonl").write_text(
        label(0, "Shoes > Boots") + label(1, "sandals", "margin") + label(9999, "lamps")
    )


def workflow(**more: Any) -> Workflow:
    data: dict[str, Any] = {
        "name": "test",
        "feed": {"quarantine": {"max_share": 0.2}},
        "rules": {"file": "rules.yaml"},
        "labels": {"files": ["labels.jsonl"]},
    }
    for key, value in more.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    return Workflow.model_validate(data)


class Result:
    """What an execution wrote."""

    def __init__(self, examples: Any, quarantine: Any, taxonomy: Any):
        self.uri = Path(examples.uri)
        properties = {}
        for name, value in examples.mlmd_artifact.custom_properties.items():
            properties[name] = getattr(value, value.WhichOneof("value"))
        self.counts = Counts.from_properties(properties)
        self.products = {split: self._read(split) for split in SPLITS}
        self.split_of = {i: split for split, rows in self.products.items() for i in rows}
        self.bad = []
        for file in sorted(Path(quarantine.uri).glob("quarantine-*.jsonl.gz")):
            self.bad += [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
        self.taxonomy = Taxonomy.load(Path(taxonomy.uri) / TAXONOMY_FILE)

    def _read(self, split: str) -> dict[str, dict[str, list]]:
        files = sorted((self.uri / f"Split-{split}").iterdir())
        names = [f"data_tfrecord-{i:05d}-of-{len(files):05d}.gz" for i in range(len(files))]
        assert [file.name for file in files] == names
        found = {}
        for record in tf.data.TFRecordDataset([str(f) for f in files], "GZIP").as_numpy_iterator():
            parsed = tf.train.Example.FromString(record).features.feature
            features = {n: list(getattr(f, f.WhichOneof("kind")).value) for n, f in parsed.items()}
            key = features["id"][0].decode()
            assert key not in found
            found[key] = features
        return found

    @property
    def all(self) -> dict[str, dict[str, list]]:
        return {i: f for rows in self.products.values() for i, f in rows.items()}


def execute(folder: Path, out: Path, flow: Workflow, arguments: list[str] | None = None) -> Result:
    """Runs the executor alone."""
    made = {
        "examples": standard_artifacts.Examples(),
        "quarantine": components.Quarantine(),
        "taxonomy": components.ProductTaxonomy(),
    }
    for name, artifact in made.items():
        artifact.uri = str(out / name)
        (out / name).mkdir(parents=True)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(arguments or IN_PROCESS), tmp_dir=str(out / "tmp"), unique_id="1"
    )
    (out / "tmp").mkdir()
    properties = {"settings_json": ExampleSettings.of(flow).model_dump_json(), "folder": str(folder)}
    ProductExampleGenExecutor(context).Do({}, {name: [a] for name, a in made.items()}, properties)
    return Result(**made)


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    folder = tmp_path / "feed"
    folder.mkdir()
    catalogue(folder)
    return folder


@pytest.mark.parametrize("arguments", [IN_PROCESS, THREE_THREADS])
def test_everything_comes_out_once(feed: Path, tmp_path: Path, arguments: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(tasks.ShardWriter.__init__, "__defaults__", (10,))
    result = execute(feed, tmp_path / "out", workflow(), arguments)
    expected = {f"p{i}" for i in range(120)} | {"c1"}
    assert set(result.all) == expected
    assert result.all["p3"]["title"] == [b"hat number 3"]
    assert result.all["c1"]["title"] == [b"lamp & co"]
    splitter = Splitter(SplitSettings())
    for product, split in result.split_of.items():
        title = result.all[product]["title"][0].decode()
        assert split == splitter.split({"title": title}, product)
    assert len(list((result.uri / "Split-train").iterdir())) > 3
    assert {path.name for path in result.uri.iterdir()} == {"Split-train", "Split-eval", "Split-test"}

    b, c = str(feed / "b.jsonl.gz"), str(feed / "c.csv")
    bad = {(row["file"], row["line"]): (row["reason"], row["detail"], row["raw"]) for row in result.bad}
    assert bad[b, 61][:2] == ("duplicate_id", f"{feed / 'a.jsonl'}:4 has this id already")
    assert bad[b, 62][0] == "duplicate_id" and json.loads(bad[b, 62][2])["title"] == "again"
    assert bad[c, 2] == ("no_id", "id is missing or empty", ",no id,shop\n")
    assert bad[c, 4][0] == "broken_csv"
    assert len(bad) == len(result.bad) == 4

    counts = result.counts
    assert counts.products == Counter(result.split_of.values())
    assert counts.quarantined == {"duplicate_id": 2, "no_id": 1, "broken_csv": 1}
    assert counts.labels == {("exclusive", "random"): 1, ("exclusive", "margin"): 1, ("rule_based", "rules"): 61}
    assert counts.unmatched_labels == {"exclusive": 1}
    assert [len(ids) for ids in counts.unmatched_ids.values()] == [1]
    assert (counts.rules, counts.rule_products, counts.files, counts.leaked_titles) == (2, 61, 3, 0)
    assert result.all["p0"]["eval_weight/exclusive"] == [2.0]
    assert result.all["p1"]["label/exclusive"] == [1]
    assert result.taxonomy == Taxonomy.load(feed / "taxonomy.yaml")


def test_too_many_bad_records_stop_the_run(feed: Path, tmp_path: Path) -> None:
    flow = workflow(feed={"quarantine": {"max_share": 0.03, "examples": 1}})
    with pytest.raises(InputError) as error:
        execute(feed, tmp_path / "out", flow)
    lines = str(error.value).splitlines()
    assert "4 of 125 records are bad (3.2%): broken_csv 1, duplicate_id 2, no_id 1" in lines[0]
    assert len(lines) == 4 and any("b.jsonl.gz:61" in line for line in lines)
    assert not (tmp_path / "out" / "examples" / "_building").exists()


def test_a_feed_without_products(tmp_path: Path) -> None:
    catalogue(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="at least one product"):
        execute(tmp_path, tmp_path / "out", workflow(feed={"files": ["empty.jsonl"]}))


def test_a_broken_file_is_said(feed: Path, tmp_path: Path) -> None:
    (feed / "b.jsonl.gz").write_bytes((feed / "b.jsonl.gz").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"b\.jsonl\.gz: expected a complete, readable jsonl file"):
        execute(feed, tmp_path / "out", workflow())


def test_given_split_leaks_and_a_taxonomy_from_the_truth(tmp_path: Path) -> None:
    rows = [row(i, split="te" if i % 4 == 0 else "tr", path=["Things", WORDS[i % 4]]) for i in range(80)]
    rows[0]["title"] = rows[1]["title"] = "The same"
    rows[4]["title"], rows[5]["title"] = "Another", "another!"
    rows[9]["title"] = rows[10]["title"] = "Twice in train"
    # A product that is dropped leaks nothing.
    rows.append(row(12, title=rows[1]["title"] + " x", split="tr") | {"id": "p8"})
    rows[13]["title"] = rows[1]["title"] + " x"
    rows.append(row(0, title=rows[20]["title"], split="tr") | {"id": "p21"})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flow = Workflow.model_validate(
        {
            "name": "test",
            "feed": {
                "fields": {"truth": "path"},
                "split": {"column": "split", "values": {"tr": "train", "te": "test"}, "eval_share": 0.3},
            },
            "taxonomy": {"from_truth": True},
            "labels": {"truth": {"evaluate": True}},
        }
    )
    result = execute(tmp_path, tmp_path / "out", flow)
    assert result.counts.quarantined == {"duplicate_id": 2}
    assert {i for i, split in result.split_of.items() if split == "test"} == {f"p{i}" for i in range(0, 80, 4)}
    assert 0 < result.counts.products["eval"] < 40
    assert result.counts.leaked_titles == 2
    assert [c.text for c in result.taxonomy.exclusive] == [f"Things > {word}" for word in sorted(WORDS)]
    assert result.counts.labels == {("exclusive", "import"): 80}
    assert result.all["p2"]["label/exclusive"] == [sorted(WORDS).index("lamp")]
    assert result.all["p2"]["top_category"] == [b"Things"]


def test_a_given_split_that_tears_variants_apart_is_said(tmp_path: Path) -> None:
    rows = [row(i, split="te" if i % 2 else "tr", item_group_id=f"g{i // 2}" if i < 10 else "") for i in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "taxonomy.yaml").write_text(TAXONOMY)
    split = {"column": "split", "values": {"tr": "train", "te": "test"}}
    flow = workflow(feed={"split": split}, rules={"file": None}, labels={"files": []})
    result = execute(tmp_path, tmp_path / "out", flow)
    assert {i for i, split in result.split_of.items() if split == "test"} == {f"p{i}" for i in range(1, 60, 2)}
    assert result.counts.leaked_titles == 5


def test_vectors_of_the_first_length_are_right(tmp_path: Path) -> None:
    catalogue(tmp_path)
    rows = [row(i, v=[0.5] * (3 if i != 7 else 4)) for i in range(40)]
    (tmp_path / "v.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flow = workflow(feed={"files": ["v.jsonl"], "fields": {"image_vector": "v"}})
    result = execute(tmp_path, tmp_path / "out", flow)
    assert result.all["p1"]["image_vector"] == [0.5] * 3
    assert [(bad["line"], bad["reason"]) for bad in result.bad] == [(8, "wrong_type")]


def png(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("arguments", [IN_PROCESS, THREE_THREADS])
def test_images_are_in_the_examples(tmp_path: Path, arguments: list[str]) -> None:
    catalogue(tmp_path)
    rows = []
    for i in range(40):
        png(tmp_path / "images" / f"{i}.png", (6 * i, 0, 0))
        rows.append(row(i, image=f"images/{i}.png"))
    cut = png(tmp_path / "images" / "3.png", (0, 200, 0), (300, 200))
    (tmp_path / "images" / "3.png").write_bytes(cut[: len(cut) // 2])
    rows[4]["image"], rows[5]["image"] = "images/none.png", "../a.png"
    rows[6] = row(6)
    # A duplicate counts nowhere.
    rows.append(row(7, image="images/none.png"))
    (tmp_path / "i.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flow = workflow(feed={"files": ["i.jsonl"], "images": {"size": 32, "threads": 3}})
    result = execute(tmp_path, tmp_path / "out", flow, arguments)
    expected = {"ok": 36, "broken": 1, "not_found": 1, "not_allowed": 1, "missing": 1}
    assert result.counts.images == expected
    for i in range(40):
        (data,) = result.all[f"p{i}"]["image_bytes"]
        if 3 <= i <= 6:
            assert data == b""
            continue
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (32, 24))
            assert abs(image.getpixel((5, 5))[0] - 6 * i) < 4
    assert "image_bytes" not in execute(tmp_path, tmp_path / "plain", workflow(feed={"files": ["i.jsonl"]})).all["p1"]


def test_tfx_serves_it_from_the_cache_until_a_file_changes(feed: Path, tmp_path: Path) -> None:
    config = metadata.sqlite_metadata_connection_config(str(tmp_path / "mlmd.db"))

    def run() -> tuple[str, str]:
        """State of the newest execution, and its fingerprint."""
        component = ProductExampleGen(ExampleSettings.of(workflow()).model_dump_json(), str(feed))
        pipeline = tfx.dsl.Pipeline(
            "test",
            str(tmp_path / "root"),
            components=[component],
            enable_cache=True,
            metadata_connection_config=config,
            beam_pipeline_args=IN_PROCESS,
        )
        tfx.orchestration.LocalDagRunner().run(pipeline)
        with metadata.Metadata(config) as handle:
            execution = max(handle.store.get_executions(), key=lambda e: e.id)
            state = execution.State.Name(execution.last_known_state)
            return state, execution.custom_properties["fingerprint"].string_value

    state, before = run()
    assert (state, before) == (
        "COMPLETE",
        input_fingerprint(ExampleSettings.of(workflow()).model_dump_json(), str(feed)),
    )
    assert run()[0] == "CACHED"
    prints = {before}
    for name in ("labels.jsonl", "a.jsonl", "rules.yaml", "taxonomy.yaml"):
        content = (feed / name).read_bytes()
        (feed / name).write_bytes(content + b"\n")
        state, after = run()
        assert state == "COMPLETE" and after not in prints
        prints.add(after)
    assert run()[0] == "CACHED"
    with metadata.Metadata(config) as handle:
        types = {t.name for t in handle.store.get_artifact_types()}
        assert {"components.Quarantine", "components.ProductTaxonomy", "Examples"} <= types
        newest = max(handle.store.get_artifacts_by_type("Examples"), key=lambda a: a.id)
        values = {n: getattr(v, v.WhichOneof("value")) for n, v in newest.custom_properties.items()}
        assert Counts.from_properties(values).total == 121


def test_a_description_runs_the_pipeline_anew_with_the_same_classes(feed: Path, tmp_path: Path) -> None:
    """Trainer has the taxonomy artifact as an input, so that another artifact trains anew."""
    settings = ExampleSettings.of(workflow()).model_dump_json()
    keys, trees = [], []
    for description in ("", "Cover the ankle", "Cover the knee"):
        told = f"id: boots, description: '{description}', synonyms: [wellies]" if description else "id: boots"
        (feed / "taxonomy.yaml").write_text(TAXONOMY.replace("id: boots", told))
        keys.append(input_fingerprint(settings, str(feed)))
        trees.append(execute(feed, tmp_path / f"out-{len(keys)}", workflow()).taxonomy)
    assert len(set(keys)) == len({tree.fingerprint() for tree in trees}) == 3
    assert [tree["boots"].description for tree in trees] == ["", "Cover the ankle", "Cover the knee"]
    assert [tree["boots"].synonyms for tree in trees] == [(), ("wellies",), ("wellies",)]
    assert len({tuple(category.id for category in tree.exclusive) for tree in trees}) == 1


def test_what_does_not_matter_for_examples_is_not_in_the_settings() -> None:
    one = ExampleSettings.of(workflow()).model_dump_json()
    other = workflow(training={"epochs": 3}, model={"kind": "linear"}, feed={"folder": "/x"}, seed=9)
    assert ExampleSettings.of(other).model_dump_json() == one
    assert ExampleSettings.of(workflow(labels={"evaluate_imported": True})).model_dump_json() != one
    unreached = workflow(objectives={"rule_based": {"kind": "multi_label", "unreached": "no"}})
    assert ExampleSettings.of(unreached).objectives["rule_based"].unreached == "no"


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        ([], 1),
        (IN_PROCESS, 1),
        (THREE_THREADS, 3),
        (["--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=5"], 5),
        (["--runner=FlinkRunner"], 8),
        (["--runner=FlinkRunner", "--parallelism=6"], 6),
        (["--runner=DataflowRunner", "--max_num_workers=40"], 40),
    ],
)
def test_workers(arguments: list[str], workers: int) -> None:
    assert workers_of(arguments) == workers


def test_counts_survive_as_properties() -> None:
    counts = Counts(
        Counter(train=3, eval=0), Counter(no_id=1), Counter({("a", "b/c"): 2}), 5, 6, 7, Counter(a=8), 9,
        Counter(ok=10), Counter(blank=11), Counter(price=12), {"a": ("p'1", "p2")}, Counter(a=13),
        ignored_variants=Counter(gtin=14),
    )  # fmt: skip
    assert Counts.from_properties(counts.to_properties() | {"name": "x", "other/x": 4, "span": 1}) == counts


def test_every_line_is_counted_somewhere(tmp_path: Path) -> None:
    (tmp_path / "taxonomy.yaml").write_text(TAXONOMY)
    lines = ["id,title", "", "p1,red boots", ",,", "p2,blue hat", ",nobody", "p1,again", 'p3,"a"b', "", "p4,cap", ","]
    (tmp_path / "a.csv").write_text("\r\n".join(lines) + "\r\n")
    more = ['{"id": 5, "title": "tie"}', "", "  ", "{", '{"id": 6, "title": "sock"}']
    (tmp_path / "b.jsonl").write_text("\n".join(more))
    flow = Workflow.model_validate(
        {"name": "test", "feed": {"quarantine": {"max_share": 0.9}}, "objectives": {"exclusive": {"kind": "exclusive"}}}
    )
    counts = execute(tmp_path, tmp_path / "out", flow).counts
    assert counts.quarantined == {"no_id": 1, "duplicate_id": 1, "broken_csv": 1, "broken_json": 1}
    assert counts.passed_over == {"blank": 6} and counts.total == 5
    header = 1
    assert header + counts.total + counts.quarantined.total() + counts.passed_over.total() == len(lines) + len(more)


def _item(row: dict[str, str]) -> str:
    return "<item>" + "".join(f"<{name}>{value}</{name}>" for name, value in row.items()) + "</item>"


def _zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return target.getvalue()


def _workbook(rows: list[list[str]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


@pytest.mark.slow
def test_the_same_table_in_every_format_gives_the_same_examples(tmp_path: Path) -> None:
    """Through Beam, with several workers to a file; the bad record keeps its place in each format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": f"p{i}", "title": f"boots {i}", "retailer": "shop"} for i in range(60)]
    rows.insert(30, {"id": "", "title": "nobody", "retailer": "shop"})
    header = "id,title,retailer\n"
    contents = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "a.csv": (header + "".join(",".join(row.values()) + "\n" for row in rows)).encode(),
        "a.tsv": (header + "".join(",".join(row.values()) + "\n" for row in rows)).replace(",", "\t").encode(),
        "a.json": json.dumps({"products": rows}, indent=1).encode(),
        "a.xml": ("<rss>" + "".join(map(_item, rows)) + "</rss>").encode("utf-16"),
        "a.csv.zip": _zipped((header + "".join(",".join(row.values()) + "\r" for row in rows)).encode()),
        "a.xlsx": _workbook([list(rows[0]), *(list(row.values()) for row in rows)]),
    }
    found = {}
    for name in (*contents, "a.parquet"):
        folder = tmp_path / name
        folder.mkdir()
        if name in contents:
            (folder / name).write_bytes(contents[name])
        else:
            pq.write_table(pa.Table.from_pylist(rows), folder / name, row_group_size=7)
        (folder / "taxonomy.yaml").write_text(TAXONOMY)
        flow = Workflow.model_validate(
            {"name": "test", "feed": {"files": [name]}, "objectives": {"exclusive": {"kind": "exclusive"}}}
        )
        found[name] = execute(folder, tmp_path / f"out-{name}", flow)
    first = found["a.jsonl"]
    assert set(first.all) == {f"p{i}" for i in range(60)}
    for name, result in found.items():
        assert result.products == first.products
        header_lines = 1 if name in ("a.csv", "a.tsv", "a.csv.zip", "a.xlsx") else 0
        assert [(bad["line"], bad["reason"]) for bad in result.bad] == [(31 + header_lines, "no_id")]
