"""Day by day: what is predicted, what stays, what goes, and that it is always what the model says."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.feeds.mapping import Product
from modules.locks import lock
from modules.predictions.daily import passes
from modules.predictions.daily.files import DailyFiles
from modules.predictions.daily.model import digest_of
from modules.predictions.daily.state import DailyState, database_of, parts_of
from tests.daily.shop import Shop, asked, day

TEXTS = st.dictionaries(st.sampled_from(["title", "brand", "color", "url"]), st.text(min_size=1, max_size=5))
NUMBERS = st.dictionaries(st.sampled_from(["price", "weight"]), st.floats(-10, 10))
VECTORS = st.dictionaries(
    st.sampled_from(["image_vector", "sound"]),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=3).map(lambda v: np.array(v, np.float32)),
)
PRODUCTS = st.builds(lambda texts, numbers, vectors: Product("1", texts, vectors, numbers), TEXTS, NUMBERS, VECTORS)
READ = ("brand", "image_vector", "price", "title")


@given(PRODUCTS, PRODUCTS)
def test_the_digest_is_that_of_what_is_read(first: Product, second: Product) -> None:
    def read(product: Product) -> tuple[object, ...]:
        vectors = {name: v.tobytes() for name, v in product.vectors.items() if name in READ}
        numbers = {name: float(n).hex() for name, n in product.numbers.items() if name in READ}
        return {name: t for name, t in product.text.items() if name in READ}, numbers, vectors

    assert (digest_of(first, READ) == digest_of(second, READ)) == (read(first) == read(second))


def test_the_first_day_is_what_the_model_says(shop: Shop) -> None:
    rows = day(40)
    counts = shop.predict(rows)
    assert (counts.new, counts.products, counts.moved) == (40, 40, 0)
    shop.check(rows)


def test_unchanged_products_do_not_reach_the_model(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = day(40)
    shop.predict(rows)
    with asked(monkeypatch) as batches:
        counts = shop.predict(rows)
    assert batches == [] and (counts.same, counts.predicted) == (40, 0)
    # No feature reads these; they are shown all the same.
    rows["p3"] |= {"color": "green", "availability": "sold out", "retailer": "shop-2"}
    rows["p4"]["title"] = "canvas tote"
    del rows["p5"]
    rows["new"] = {**rows["p6"], "id": "new"}
    with asked(monkeypatch) as batches:
        counts = shop.predict(rows)
    # A batch of one product alone tells the table's columns.
    assert batches == [1, 2]
    assert (counts.new, counts.changed, counts.same, counts.gone) == (1, 1, 38, 1)
    shop.check(rows)


def test_an_unchanged_day_needs_no_tensorflow(shop: Shop) -> None:
    shop.predict(day(20))
    program = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from pipeline.daily import predict\n"
        "from pipeline.workflow_file import load_workflow\n"
        "print(predict(load_workflow(sys.argv[1])).same)\n"
    )
    command = [sys.executable, "-c", program, str(shop.workflow)]
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr


def test_many_days_leave_what_the_last_feed_holds_and_few_dead_rows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "SHARD", 7)
    chance = random.Random(5)
    everything, rows = day(60), day(30)
    titles = [row["title"] for row in everything.values()]
    for _ in range(7):
        shop.predict(rows)
        shop.check(rows)
        with DailyState(shop.place) as state:
            assert state.dead() <= state.products() == len(rows)
        assert len(list(parts_of(shop.place).iterdir())) <= 20
        for name in chance.sample(sorted(rows), 12):
            rows[name] = {**rows[name], "title": chance.choice(titles)}
        for name in chance.sample(sorted(rows), 3):
            del rows[name]
        rows |= {name: everything[name] for name in chance.sample(sorted(everything), 4)}


def test_another_model_predicts_everything_anew(shop: Shop) -> None:
    rows = day(20)
    shop.predict(rows)
    (shop.model / "Format-Serving" / "note.txt").write_text("another model")
    counts = shop.predict(rows)
    assert (counts.by_new_model, counts.same, counts.predicted) == (20, 0, 20)
    assert shop.predict(rows).same == 20


def test_many_gone_are_no_whole_feed(shop: Shop) -> None:
    rows = day(202)
    shop.predict(rows)
    few = dict(list(rows.items())[:80])
    few["p1"] = {**few["p1"], "title": "canvas tote"}
    with pytest.raises(InputError, match="122 products of 202 are gone from the feed.*--many-gone"):
        shop.predict(few)
    shop.check(rows)
    assert shop.predict(few, many_gone=True).gone == 122
    shop.check(few)
    # A hundred of fewer may go.
    assert shop.predict({"p2": few["p2"]}).gone == 79


@pytest.mark.parametrize("part", ["lost", "left over"])
def test_files_that_nothing_names_and_names_without_a_file(shop: Shop, part: str) -> None:
    rows = day(20)
    shop.predict(rows)
    (file,) = parts_of(shop.place).iterdir()
    if part == "lost":
        file.unlink()
    else:
        (parts_of(shop.place) / "part-00000099.parquet").write_bytes(b"half of a fi")
    assert shop.predict(rows).new == (20 if part == "lost" else 0)
    assert len(list(parts_of(shop.place).iterdir())) == 1
    shop.check(rows)


def test_one_writer_at_a_time_and_none_beside_a_reader(shop: Shop) -> None:
    rows = day(5)
    shop.predict(rows)
    with DailyState(shop.place), pytest.raises(InputError, match="in use.*wait for the other command"):
        shop.predict(rows)
    with DailyState(shop.place), pytest.raises(InputError, match="`shelfmark predict` is at work"):
        DailyFiles(shop.place)
    reader = DailyFiles(shop.place)
    with pytest.raises(InputError, match="in use"):
        shop.predict(rows)
    DailyFiles(shop.place)
    del reader
    assert shop.predict(rows).same == 5


def test_a_damaged_state_says_what_to_do(shop: Shop) -> None:
    shop.predict(day(5))
    database_of(shop.place).write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="damaged.*put it aside: mv .*predicted anew"):
        shop.predict(day(5))


def test_a_lock_is_over_with_its_file(tmp_path: Path) -> None:
    held = lock(tmp_path / "new" / "a.lock")
    assert held is not None and lock(tmp_path / "new" / "a.lock", shared=True) is None
    held.close()
    first, second = (lock(tmp_path / "new" / "a.lock", shared=True) for _ in range(2))
    assert first and second and lock(tmp_path / "new" / "a.lock") is None
