"""``shelfmark label``: what its commands say and do, on a store of a small shop."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from labelling.store import Store, accounts, queue, tables
from labelling.store.answering import Answer, give
from modules.sampling.batch import Pick
from modules.sampling.batch import PickedBatch as SampledBatch
from modules.sampling.write import write_batches
from shelfmark import cli
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS
from tests.object_store import object_store
from tests.pipeline.recorded import Recorder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with a batch of four, two of which two people answered."""
    found = str(tmp_path / "labels.sqlite")
    with Store(found) as store:
        shop.fill(store, shop.batch(4), wanted=2)
        with store.write() as connection:
            for time, (who, item, category) in enumerate(
                [("ann", 1, BOOTS), ("bob", 1, SANDALS), ("ann", 2, BOOTS), ("bob", 2, BOOTS)]
            ):
                answer = Answer(f"p{item - 1}", "exclusive", "yes", who, f"{who}{item}", item, category)
                give(connection, answer, NOW + time)
    monkeypatch.setenv("SHELFMARK_LABEL_STORE", found)
    return found


def label(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What the command prints: on standard output, or, where it fails, as errors alone."""
    with pytest.raises(SystemExit) as left:
        cli.main(["label", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert int(left.value.code or 0) == code, err
    assert "Traceback" not in err
    if code:
        assert out == ""
    return err if code else out


def test_status_for_people_and_for_programs(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = label(capsys, "status")
    for part in ("round-1", "ann", "bob", "agreement on exclusive", "Shoes > Boots"):
        assert part in text
    found = json.loads(label(capsys, "status", "--json"))
    assert found["labels"] == [{"objective": "exclusive", "source": "margin", "value": "yes", "rows": 4, "products": 2}]
    assert [(one["id"], one["open"], one["done"]) for one in found["queues"]] == [("round-1", 2, 2)]
    (agreed,) = found["agreement"]
    assert agreed["products"] == 2 and {one["name"]: one["same"] for one in agreed["annotators"]} == {
        "ann": 0.5,
        "bob": 0.5,
    }
    assert {one["category"] for one in agreed["categories"]} == {"Shoes > Boots", "Shoes > Sandals"}


def test_assign_overlap_and_close(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 products changed" in label(capsys, "assign", "round-1", "--to", "cem")
    assert "1 product changed" in label(capsys, "assign", "round-1", "--free", "--to", "cem", "-n", 1)
    assert "4 products changed" in label(capsys, "assign", "round-1", "--overlap", 3)
    with Store(place) as store:
        with store.write() as connection:
            assert queue.take(connection, "dan", NOW) == 1  # a third answer is wanted
        assert label(capsys, "close", "round-1") == "round-1: closed\n"
        with store.write() as connection:
            assert queue.take(connection, "cem", NOW) is None
        assert label(capsys, "close", "round-1", "--reopen") == "round-1: open\n"
        with store.read() as connection:
            log = [entry.action for entry in accounts.audit_log(connection)]
    assert log == ["reopen", "close", "assign", "assign", "assign"]
    assert "expected one of: round-1" in label(capsys, "assign", "round-2", "--to", "cem", code=2)
    assert "--to NAME, --overlap N or --free" in label(capsys, "assign", "round-1", code=2)
    assert "no such batch" in label(capsys, "close", "round-2", code=2)


def test_accounts(place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert label(capsys, "account", "put", "anna", "--role", "admin") == "anna: made\n"
    assert label(capsys, "account", "put", "anna", "--role", "labeller", "--keep-password") == "anna: changed\n"
    assert label(capsys, "account", "list") == "anna  labeller\n"
    with Store(place) as store, store.read() as connection:
        assert accounts.check(connection, "anna", "correct horse battery")
    assert label(capsys, "account", "lock", "anna") == "anna: locked\n"
    assert label(capsys, "account", "list") == "anna  labeller  locked\n"
    assert "no such account" in label(capsys, "account", "lock", "ben", code=2)
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    said = label(capsys, "account", "put", "ben", code=2)
    assert "10 to 500 characters" in said and "short" not in said


def test_export_import_and_snapshot(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("labels.jsonl", "labels.csv"):
        assert label(capsys, "export", tmp_path / name, "--full") == f"{tmp_path / name}: 4 rows\n"
        assert "0 rows added" in label(capsys, "import", tmp_path / name)
    assert "4 tasks" in label(capsys, "export", tmp_path / "x.json", "--interface", tmp_path / "x.xml")
    assert "<Taxonomy" in (tmp_path / "x.xml").read_text()
    assert "4 label rows, 2 queued" in label(capsys, "snapshot", "-o", tmp_path / "snapshot")
    assert "name that ends in" in label(capsys, "export", tmp_path / "labels.xls", code=2)
    assert "USER=NAME" in label(capsys, "import", tmp_path / "x.json", "--annotator", "7", code=2)


def test_no_store_no_serving(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    missing = tmp_path / "none.sqlite"
    assert "no label store here" in label(capsys, "status", "--store", missing, code=2)
    assert "needs accounts" in label(capsys, "serve", "--host", "0.0.0.0", code=2)
    assert not missing.exists()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow in the working folder, and the folder of a batch that another machine made for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("id,title,image\n1,Red boots,a.png\n2,Sandals,\n3,More boots,\n")
    rule = {"id": "boots", "category": "Shoes > Boots", "when": {"field": "title", "word": "boots"}}
    (tmp_path / "rules.yaml").write_text(json.dumps({"rules": [rule]}))
    paths = [{"path": "Shoes"}, *({"path": f"Shoes > {name}", "exclusive": True} for name in ("Boots", "Sandals"))]
    (tmp_path / "t.yaml").write_text(json.dumps({"categories": paths}))
    lines = ["name: shop", "feed: {files: [a.csv]}", "taxonomy: {file: t.yaml}", "rules: {file: rules.yaml}"]
    (tmp_path / "w.yaml").write_text("\n".join(lines))
    folder = tmp_path / "elsewhere" / "labelling_batch" / "17"
    picks = [Pick(i, str(i + 1), "exclusive", "margin", "margin", "train") for i in range(2)]
    made = SampledBatch("exclusive", picks, {"strategy": "margin", "round": 1, "seed": 7})
    write_batches(str(folder), [made], {"model": "m"}, {})
    return folder


def import_batch(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    return label(capsys, "import-batch", *arguments, "--workflow", "w.yaml", "--store", "labels.sqlite", code=code)


def queued() -> list[tuple[str | None, str, str]]:
    """(run, batch, product) of all items."""
    query = select(tables.batches.c.run, tables.batches.c.id, tables.items.c.product_id).join(tables.items)
    with Store("labels.sqlite") as opened, opened.read() as connection:
        return sorted(map(tuple, connection.execute(query)), key=str)


def test_a_batch_of_a_pipeline_that_ran_elsewhere(
    elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No run, no ML Metadata here: the batch's own folder, and the feed."""
    said = import_batch(capsys, elsewhere.as_uri(), "--overlap", 2)
    assert "labelling_batch-17: 2 products queued" in said and "products come from the feed" in said
    assert "--run" not in said
    with Store("labels.sqlite") as opened, opened.read() as connection:
        kept = {row.id: row for row in connection.execute(tables.products.select())}
        items = connection.execute(tables.items.select()).all()
    assert {name: (row.fields["title"], list(row.rules)) for name, row in kept.items()} == {
        "1": ("Red boots", ["boots"]), "2": ("Sandals", []),
    }  # fmt: skip
    assert (kept["1"].image, kept["1"].image_folder) == ("a.png", str(tmp_path))
    found = {(item.product_id, item.wanted, item.model, item.seed) for item in items}
    assert found == {("1", 2, "m", 7), ("2", 2, "m", 7)}
    assert "there is nothing" in import_batch(capsys, tmp_path / "none", code=2)
    assert "shelfmark run" in import_batch(capsys, code=2)


def test_runs_of_this_machine_do_not_get_a_batch_that_none_of_them_made(
    elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = tmp_path / "runs" / "shop" / "metadata.sqlite"
    metadata.parent.mkdir(parents=True)
    recorder = Recorder(metadata, "shop")
    recorder.run("run-1", {"predictions": ("predictions", {}), "labelling_batch": (tmp_path / "a batch", {})})
    said = import_batch(capsys, elsewhere)
    assert "its run is not known here" in said and "--run names a run of this machine" in said
    assert queued() == [(None, "labelling_batch-17", "1"), (None, "labelling_batch-17", "2")]
    # Named, or found by its address, a run is the batch's; this one's taxonomy is gone.
    elsewhere.rename(tmp_path / "a batch")
    for one in ((tmp_path / "a batch").as_uri(), tmp_path / "a batch"):
        assert "taxonomy" in import_batch(capsys, one, code=2)
    assert "taxonomy" in import_batch(capsys, (tmp_path / "a batch").rename(elsewhere), "--run", "run-1", code=2)


@pytest.mark.parametrize("scheme", ["s3", "minio", "gs"])
def test_a_batch_in_object_storage(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    uri = f"{scheme}://pipelines/a root%20/ActiveSampler/labelling_batch/17"
    with object_store() as objects:
        for name, value in objects.variables.items():
            monkeypatch.setenv(name, value)
        objects.put("pipelines", "a root%20/ActiveSampler/labelling_batch/17", elsewhere)
        objects.objects["pipelines", "a root%20/ActiveSampler/labelling_batch/170"] = b"another one"
        assert "labelling_batch-17: 2 products queued" in import_batch(capsys, uri)
        assert "2 imported before" in import_batch(capsys, f"{uri}/")
        assert {product for _, _, product in queued()} == {"1", "2"}
        # A review queue may be a single file.
        rows = [{"product_id": "3", "objective": "exclusive", "reason": "label_error"}]
        objects.objects["pipelines", "review.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        given = (f"{scheme}://pipelines/review.jsonl", "--workflow", "w.yaml", "--store", "labels.sqlite")
        assert "review-pipelines-review.jsonl: 1 product queued" in label(capsys, "import-review", *given)
        for wrong in (f"{scheme}://pipelines/none", f"{scheme}://nobody/17"):
            said = import_batch(capsys, wrong, code=2)
            assert wrong in said and ("there is nothing" in said or "cannot be fetched" in said)
        assert objects.asked


def test_object_storage_that_cannot_be_reached_is_an_error_that_says_so(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store() as objects:
        for name, value in {**objects.variables, "AWS_ACCESS_KEY_ID": "somebody"}.items():
            monkeypatch.setenv(name, value)
        assert "ACCESS_DENIED" in import_batch(capsys, "s3://pipelines/17", code=2)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert "AWS_ENDPOINT_URL" in import_batch(capsys, "minio://pipelines/17", code=2)
    assert "expected a path, or an address" in import_batch(capsys, "ftp://pipelines/17", code=2)


def test_suggestions_of_a_program_and_their_agreement(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "classifier.py"
    file.write_text(
        "import json, sys\n"
        "for p in list(map(json.loads, sys.stdin))[1:]:\n"
        "    where = 'Nonsense' if p['product_id'] == 'p3' else 'Shoes > Boots'\n"
        "    print(json.dumps({'product_id': p['product_id'], 'category': where, 'cost': 0.5}))\n",
        "utf-8",
    )
    program = f"'{sys.executable}' '{file}'"
    with pytest.raises(SystemExit) as left:
        cli.main(["label", "suggest", "--by", "parrot", "--command", program])
    out, err = capsys.readouterr()
    assert left.value.code == 0 and "refused: answer 1" in err and "'Nonsense': not in the taxonomy" in err
    assert out.startswith("1 suggestion of parrot") and "1 product without an answer, 1 line refused, cost 1" in out
    assert "nothing that parrot answered is labelled by people yet" in out
    # Two people have answered p0 and p1; they agree on the second.
    said = label(capsys, "suggest", "--by", "parrot", "--products", "labelled", "--command", program, "--limit", 2)
    assert "parrot says what people say of 100.0% (20.7% to 100.0%) of 1 product; cost 0.6667 per answer" in said
    text = label(capsys, "status")
    assert "suggestions of other classifiers" in text and "parrot" in text
    state = json.loads(label(capsys, "status", "--json"))
    (measured,) = state["suggestions"]
    assert (measured["name"], measured["answers"], measured["products"], measured["same"]) == ("parrot", 3, 1, 1.0)
    # By their times, which the shop has from the future, people answered later and may have seen it.
    assert measured["cost"] == 2.0 and measured["products_before"] == 0
    assert {person["name"] for person in state["annotators"]} == {"ann", "bob"}


def test_suggestions_need_one_way_to_ask(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = "expected one of --command PROGRAM, --url URL and --file FILE"
    assert expected in label(capsys, "suggest", "--by", "parrot", code=2)
    assert expected in label(capsys, "suggest", "--by", "parrot", "--command", "x", "--file", "y.csv", code=2)
    assert "--by" in label(capsys, "suggest", "--by", "ann", "--command", "true", code=2)
    assert "absent.csv" in label(capsys, "suggest", "--by", "parrot", "--file", "absent.csv", code=2)
