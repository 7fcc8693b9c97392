"""The catalogue on disk: complete, the same every time, and unreadable only where it is meant to be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pyarrow import parquet

from modules.demo import DemoSummary, write_demo
from modules.demo.feeds import BAD
from modules.demo.words import COLORS
from modules.errors import InputError
from tests.modules.demo import oracle


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    return write_demo(tmp_path_factory.mktemp("drawn"), products=700, seed=3, image_size=32)


def test_the_same_arguments_give_the_same_bytes(drawn: DemoSummary, tmp_path: Path) -> None:
    write_demo(tmp_path / "elsewhere" / "named.otherwise", products=700, seed=3, image_size=32)
    assert contents(tmp_path / "elsewhere" / "named.otherwise") == contents(drawn.output)


def test_another_seed_gives_another_catalogue(drawn: DemoSummary, tmp_path: Path) -> None:
    write_demo(tmp_path, products=700, seed=4, images=False)
    mine, theirs = contents(tmp_path), contents(drawn.output)
    same = {name for name in mine if mine[name] == theirs[name]}
    assert same == {"taxonomy.yaml", "rules.yaml"}


def test_a_larger_catalogue_begins_with_the_products_of_a_smaller_one(tmp_path: Path, output: Path) -> None:
    write_demo(tmp_path, products=1500, images=False)
    small, large = oracle.read_feeds(tmp_path)[0], oracle.read_feeds(output)[0]
    assert len(small) == 1500
    assert small.items() <= large.items()
    assert oracle.read_truth(tmp_path).items() <= oracle.read_truth(output).items()


def test_feeds_have_several_formats_and_hold_every_product_once(demo: DemoSummary) -> None:
    names = [path.name for path in (demo.output / "feed").iterdir()]
    assert {re.sub(r"^[^.]*", "", name) for name in names} == {".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"}
    records, bad = oracle.read_feeds(demo.output)
    assert sorted(oracle.read_truth(demo.output)) == sorted(records)
    assert len(records) == demo.products == 4000
    assert bad == sum(demo.bad_records.values()) == len(BAD)
    assert bad / demo.products < 0.005
    counts: dict[str, int] = {}
    for record in records.values():
        counts[record["retailer"]] = counts.get(record["retailer"], 0) + 1
    assert counts == demo.retailers
    assert len(counts) >= 6
    assert len({record["currency"] for record in records.values()}) > 1


def test_every_kind_of_bad_record_is_there(demo: DemoSummary) -> None:
    assert set(demo.bad_records) == {
        "broken JSON", "no id", "not an object", "wrong type", "duplicate id", "undecodable bytes",
    }  # fmt: skip
    with pytest.raises(UnicodeDecodeError):
        (demo.output / "feed" / "tillplonk.csv").read_text("utf-8")
    broken, lists, wrong = 0, 0, 0
    for path in (demo.output / "feed").glob("*.jsonl*"):
        for line in oracle.open_text(path):
            try:
                value: Any = json.loads(line)
            except ValueError:
                broken += 1
                continue
            lists += isinstance(value, list)
            wrong += isinstance(value, dict) and isinstance(value.get("title"), dict)
    assert (broken, lists, wrong) == (2, 1, 1)


def test_missing_values_differ_by_retailer(output: Path) -> None:
    def values(name: str) -> set[str]:
        rows = [json.loads(line) for line in oracle.open_text(output / "feed" / name) if line.endswith("}")]
        return {repr(row.get("price", "left out")) for row in rows if isinstance(row, dict)} & {
            "None",
            "''",
            "'left out'",
        }

    assert values("shelfquib-1.jsonl.gz") == {"'left out'"}
    assert values("cratefloof.jsonl.gz") == {"None"}
    assert values("parcelnoz.jsonl") == {"''"}
    column = parquet.read_table(output / "feed" / "basketzig.parquet")["price"]
    assert column.null_count > 0
    assert "" not in column.to_pylist()


def test_parquet_is_written_in_row_groups(tmp_path: Path) -> None:
    write_demo(tmp_path, products=65_000, images=False)
    file = parquet.ParquetFile(tmp_path / "feed" / "basketzig.parquet")
    assert file.num_row_groups == 2
    assert file.metadata.row_group(0).num_rows == 10_000
    # Both files of the retailer that has two get about half of its products.
    sizes = [len(oracle.open_text(tmp_path / "feed" / f"shelfquib-{part}.jsonl.gz")) for part in (1, 2)]
    assert min(sizes) > 0.4 * sum(sizes)


def test_images_follow_category_and_color(drawn: DemoSummary) -> None:
    records, _ = oracle.read_feeds(drawn.output)
    colors = dict(COLORS)
    lost = broken = matching = checked = 0
    for record in records.values():
        if "image" not in record:
            continue
        path = drawn.output / record["image"]
        if not path.exists():
            lost += 1
            continue
        try:
            with Image.open(path) as image:
                assert image.size == (32, 32)
                pixels = image.convert("RGB").tobytes()
        except OSError:
            broken += 1
            continue
        if record.get("color") in colors:
            checked += 1
            matching += bytes(colors[record["color"]]) in {pixels[k : k + 3] for k in range(0, len(pixels), 3)}
    assert lost == drawn.lost_images > 0
    assert broken == drawn.broken_images > 0
    assert checked > 400
    assert matching == checked
    files = [path for path in (drawn.output / "images").rglob("*") if path.is_file()]
    assert len(files) == drawn.images
    assert len({path.parent for path in files}) > 200
    assert sum(path.stat().st_size for path in files) / len(files) < 1000


def test_without_images_no_record_names_one(output: Path, demo: DemoSummary) -> None:
    assert not (output / "images").exists()
    assert all("image" not in record for record in oracle.read_feeds(output)[0].values())
    assert demo.images == demo.lost_images == demo.broken_images == 0


@pytest.mark.parametrize("products", [0, 1, 2, 50, 121])
def test_small_catalogues(tmp_path: Path, products: int) -> None:
    summary = write_demo(tmp_path, products=products, image_size=16)
    records, bad = oracle.read_feeds(tmp_path)
    assert len(records) == products == len(oracle.read_truth(tmp_path))
    assert bad == sum(summary.bad_records.values())
    assert all((tmp_path / name).is_file() for name in summary.files)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".png"} == set(
        summary.files
    )


def test_mistakes_are_reported_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as caught:
        write_demo(tmp_path / "file" / "below", products=-1, image_size=5)
    assert [problem.key for problem in caught.value.problems] == ["products", "image_size", "output"]
    assert (tmp_path / "file").read_text() == "x"


def test_an_interrupted_run_leaves_the_files_of_the_last_one(tmp_path: Path) -> None:
    write_demo(tmp_path, products=100, images=False)
    before = contents(tmp_path)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path, products=5000, seed=8, images=False, progress=interrupt)
    assert contents(tmp_path) == before


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_demo(tmp_path, products=2500, images=False, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1000, 2500), (2000, 2500), (2500, 2500)]


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path) -> None:
    code = """if True:
        import resource, sys
        from pathlib import Path
        from modules.demo import write_demo
        write_demo(Path(sys.argv[1]), products=int(sys.argv[2]), images=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """

    def peak(products: int) -> float:
        command = [sys.executable, "-c", code, str(tmp_path / str(products)), str(products)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024

    # The first row group (10,000 of one retailer) must be full in both: from then on nothing may grow.
    assert peak(250_000) - peak(80_000) < 12
