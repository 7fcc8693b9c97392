"""The published similarity indexes have today's products, and no others."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from api.similarity.sources import FolderSource
from modules.errors import InputError
from modules.predictions.daily.state import DailyState
from modules.similarity.catalogue import Catalogue
from modules.similarity.daily import read_daily
from pipeline import daily_index
from pipeline.daily_index import renew_index
from pipeline.workflow_file import load_workflow
from shelfmark.cli.similar.source import source_of
from tests.api.shops import serving
from tests.cli.program import run
from tests.daily.indexed import check, example, push, renew
from tests.daily.shop import Rows, Shop, day


@pytest.fixture
def indexed(shop: Shop) -> tuple[Shop, Rows]:
    """A shop whose run pushed an index of 60 products, of which a pass has predicted all."""
    rows = day(60)
    shop.record("run-2", rows, example=example)
    push(shop, "run-2")
    shop.predict(rows)
    return shop, rows


def versions(shop: Shop) -> list[str]:
    return sorted((path.name for path in shop.runs.pushed_indexes.iterdir()), key=len)


def change(rows: Rows) -> None:
    """Three products change, one goes and one comes."""
    rows["p3"] |= {"title": "canvas tote", "brand": "other"}
    rows["p4"] |= {"price": 3.5}
    rows["p5"] |= {"availability": "sold out"}
    del rows["p6"]
    rows["new"] = {**rows["p7"], "id": "new", "title": "leather boots"}


def test_products_come_change_and_go(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    # The run's own feed: nothing is to be written.
    assert renew(shop).version.name == "1" and versions(shop) == ["1"]
    change(rows)
    shop.predict(rows)
    renewed = renew(shop)
    assert (renewed.newer, renewed.outdated, renewed.products) == (4, 5, 60)
    check(shop, renewed.version, rows)
    with pytest.raises(InputError, match="id of a product"):
        Catalogue.open(renewed.version).asked("p6", "joint")
    # The same day again makes no other version.
    shop.predict(rows)
    assert renew(shop).version == renewed.version and versions(shop) == ["1", renewed.version.name]


def test_the_command_says_where_the_indexes_are(capsys: pytest.CaptureFixture[str], indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    change(rows)
    shop.write(rows.values())
    code, out, err = run(capsys, "predict", "-w", shop.workflow)
    version = versions(shop)[-1]
    assert (code, err) == (0, "") and f"{version}; 4 new or changed and 1 gone since they were built" in out
    assert "similarity indexes: 60 products in " in out
    check(shop, shop.runs.pushed_indexes / version, rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_days_of_any_changes(indexed: tuple[Shop, Rows], seed: int) -> None:
    shop, rows = indexed
    chance = random.Random(seed)
    fresh = list(day(200, seed=seed).values())[100:]
    anew = 0
    for _ in range(6):
        for name in chance.sample(sorted(rows), 4):
            what = chance.choice(["go", "title", "price", "nothing"])
            if what == "go":
                del rows[name]
            elif what != "nothing":
                rows[name] |= (
                    {"title": f"tote {chance.random()}"} if what == "title" else {"price": chance.randrange(200) / 2}
                )
        for row in (fresh.pop() for _ in range(chance.randrange(4))):
            rows[row["id"]] = row
        shop.predict(rows)
        renewed = renew(shop)
        anew += renewed.is_anew
        check(shop, renewed.version, rows)
        assert len(versions(shop)) <= 5
    assert anew
    daily = read_daily(renewed.version)
    # What a base is no longer under is gone, but for the run's own.
    assert daily is not None and {"1", renewed.version.name} <= set(versions(shop))


def test_an_index_that_is_not_good_enough_is_not_taken(
    indexed: tuple[Shop, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, rows = indexed
    monkeypatch.setattr(daily_index, "REBUILD_SHARE", 0.01)
    workflow = shop.workflow.read_text("utf-8")
    shop.workflow.write_text(workflow + "similarity: {indexes: {joint: {recall: 0.999, min_recall: 0.999}}}\n", "utf-8")
    tried: list[int] = []
    make = daily_index.make_index

    def poor(*arguments: object) -> object:
        tried.append(1)
        made = make(*arguments)  # type: ignore[arg-type]
        made.reasons.append("a recall of 0.5")
        return made

    monkeypatch.setattr(daily_index, "make_index", poor)
    change(rows)
    shop.predict(rows)
    renewed = renew(shop)
    assert renewed.reasons == ("a recall of 0.5",) and not renewed.is_anew
    check(shop, renewed.version, rows)
    # It is not tried again before twice as many are outdated.
    assert renew(shop).reasons == () and len(tried) == 1


def test_a_run_that_pushes_replaces_the_layer(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    change(rows)
    shop.predict(rows)
    layer = renew(shop).version
    shop.record("run-3", rows, example=example)
    pushed = push(shop, "run-3", int(layer.name) + 1)
    shop.predict(rows)
    assert renew(shop).version == pushed
    rows["p8"]["price"] = 8.0
    shop.predict(rows)
    renewed = renew(shop)
    assert renewed.outdated == 1 and (daily := read_daily(renewed.version)) and daily.base == pushed.name
    check(shop, renewed.version, rows)


def test_without_an_index_of_the_published_model_there_is_nothing_to_do(shop: Shop) -> None:
    shop.predict(day(10))
    with DailyState(shop.place) as state:
        assert renew_index(load_workflow(shop.workflow), state) is None
    other = push(shop, "run-1")
    (shop.model / "Format-Serving" / "more.txt").write_text("another model", "utf-8")
    with DailyState(shop.place) as state:
        assert renew_index(load_workflow(shop.workflow), state) is None
    assert versions(shop) == [other.name]


def test_a_day_without_changes_needs_no_tensorflow(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    change(rows)
    shop.predict(rows)
    version = renew(shop).version
    program = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['scann'] = None\n"
        "from pipeline.daily import predict\n"
        "from pipeline.daily_index import renew_index\n"
        "from pipeline.workflow_file import load_workflow\n"
        "loaded = load_workflow(sys.argv[1])\n"
        "predict(loaded, then=lambda state: print(renew_index(loaded, state).version))\n"
    )
    command = [sys.executable, "-c", program, str(shop.workflow)]
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.stdout.strip() == str(version), done.stderr


def test_the_state_may_be_deleted(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    change(rows)
    shop.predict(rows)
    renew(shop)
    shutil.rmtree(shop.place)
    shop.predict(rows)
    renewed = renew(shop)
    assert (renewed.newer, renewed.outdated) == (4, 5)
    check(shop, renewed.version, rows)


def test_commands_on_the_workflow_see_the_layer_of_their_run(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    version = shop.runs.pushed_indexes / "1"
    assert shop.recorder is not None
    model = daily_index.fingerprint(shop.model / "Format-Serving")
    taxonomy, published = shop.runs.root / "taxonomy", shop.runs.root / "run-2" / "published"
    taxonomy.mkdir()
    shutil.copyfile(version / "taxonomy.json", taxonomy / "taxonomy.json")
    artifact = shop.runs.root / "index"
    shutil.copytree(version, artifact, ignore=shutil.ignore_patterns("model", "version.json"))
    outputs = {
        "published_predictions": (published, {"products": 60, "model": str(shop.model)}),
        "similarity_index": (artifact, {"model_fingerprint": model}),
        "taxonomy": (taxonomy, {}),
    }
    shop.recorder.run("run-3", outputs)
    source = source_of(None, None, shop.workflow, None)
    before = source(None)
    assert before is not None and before.catalogue.product("new") is None
    change(rows)
    shop.predict(rows)
    layer = renew(shop).version
    loaded = source(before.catalogue.version)
    assert loaded is not None and loaded.catalogue.version.endswith(f"-{layer.name}")
    assert loaded.catalogue.product("new") is not None and loaded.catalogue.product("p6") is None
    assert source(loaded.catalogue.version) is None


@pytest.mark.slow
def test_a_server_answers_while_days_go_by(indexed: tuple[Shop, Rows]) -> None:
    shop, rows = indexed
    products: dict[str, set[str]] = {"1": set(rows)}
    with serving(FolderSource(shop.runs.pushed_indexes)) as (client, _):

        async def ask(http: httpx.AsyncClient, done: asyncio.Event) -> list[httpx.Response]:
            answers = []
            while not done.is_set():
                answers.append(await http.get("/v1/similar/p0", params={"k": 60}))
            return answers

        def next_day(number: int) -> None:
            rows.pop(f"p{number + 10}")
            rows[f"new-{number}"] = {**rows["p7"], "id": f"new-{number}"}
            shop.predict(rows)
            products[renew(shop).version.name] = set(rows)

        async def days() -> list[httpx.Response]:
            done = asyncio.Event()
            async with httpx.AsyncClient(base_url=str(client.base_url), timeout=60.0) as http:
                asking = [asyncio.create_task(ask(http, done)) for _ in range(4)]
                for number in range(3):
                    await asyncio.to_thread(next_day, number)
                    reloaded = await http.post("/v1/reload", json={}, headers={"content-type": "application/json"})
                    assert reloaded.json()["changed"]
                    answer = await http.get(f"/v1/similar/new-{number}", params={"k": 1})
                    assert answer.status_code == 200 and answer.json()["neighbours"][0]["score"] > 0.99
                done.set()
                return [answer for answers in await asyncio.gather(*asking) for answer in answers]

        answers = asyncio.run(days())
    assert {answer.status_code for answer in answers} == {200}
    seen = set()
    for answer in answers:
        version = answer.json()["index"]["version"].partition("-")[0]
        assert {neighbour["id"] for neighbour in answer.json()["neighbours"]} == products[version] - {"p0"}
        seen.add(version)
    assert seen >= {"1"} and len(seen) >= 3
