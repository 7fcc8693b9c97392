"""``shelfmark publish`` on a recorded run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.examples import TAXONOMY_FILE
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import load_workflow
from tests.cli.program import run
from tests.modules.reporting.sample import taxonomy
from tests.pipeline.recorded import Recorder
from tests.publishing.shop import SECRET, answers, expected, predict, receiver, rounded


def record(workflow: Path, products: int = 30) -> tuple[RunFolder, list[dict]]:
    folder = RunFolder.of(load_workflow(workflow).workflow)
    (folder.root / "taxonomy").mkdir(parents=True)
    taxonomy().write(folder.root / "taxonomy" / TAXONOMY_FILE)
    rows = predict(folder.root / "published", {"train": products})
    outputs = {
        "taxonomy": (folder.root / "taxonomy", {}),
        "published_predictions": (folder.root / "published", {"products": products}),
    }
    Recorder(Path(folder.metadata), "shop").run("run-1", outputs)
    return folder, rows


def test_a_folder_gets_what_is_new_once(capsys, workflow: Path, tmp_path: Path) -> None:
    record(workflow)
    out = tmp_path / "out"
    code, said, _ = run(capsys, "publish", out, "-w", workflow, "--dry-run")
    assert code == 0 and "30 new, 0 changed, 0 gone, 0 as before; nothing was sent" in said
    assert not out.exists() and not (tmp_path / "runs" / "shop" / "publications").exists()
    code, said, err = run(capsys, "publish", out, "-w", workflow)
    assert (code, err) == (0, "") and "30 documents sent, 0 products removed" in said and "next: shelfmark run" in said
    assert len(next(out.iterdir()).read_text().splitlines()) == 30
    code, said, _ = run(capsys, "publish", out, "-w", workflow)
    assert code == 0 and "0 documents sent" in said and len(list(out.iterdir())) == 1
    code, said, _ = run(capsys, "publish", "--status", "-w", workflow)
    assert code == 0 and "run-1" in said and "0 sent, 0 removed" in said and "not finished" not in said


def test_dead_letters_leave_with_1_and_no_secret_anywhere(
    capsys, caplog, monkeypatch, workflow: Path, tmp_path: Path
) -> None:
    folder, rows = record(workflow)
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    with receiver(lambda at, batch: 400 if "train-7" in [d["id"] for d in batch] else 200) as shop:
        monkeypatch.setenv("SHOP_HOOK", shop.url)
        command = ["publish", "env:SHOP_HOOK", "-w", workflow, "--secret-env", "SHOP_SECRET", "--allow-private"]
        code, out, err = run(capsys, *command)
        good = [row for row in rows if row["id"] != "train-7"]
        assert answers(shop.state) == rounded(expected(good))
        (file,) = folder.publications.glob("*.dead.jsonl")
        letter = json.loads(file.read_text())
        assert (letter["id"], letter["status"], letter["document"]["id"]) == ("train-7", 400, "train-7")
        assert code == 1 and "1 product was refused" in err and file.name in err
        written = "".join(path.read_bytes().decode("latin-1") for path in folder.publications.iterdir())
        for secret in (SECRET, "3f9a7c", "2b8d"):
            assert all(secret not in text for text in (out, err, caplog.text, written))
        shop.script = lambda at, batch: 200
        code, _, err = run(capsys, *command)
        assert (code, err) == (0, "") and not file.exists() and len(shop.state) == 30


def test_a_target_that_cannot_be_used_says_how_to_go_on(capsys, monkeypatch, workflow: Path) -> None:
    record(workflow)
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    with receiver(lambda at, batch: 403) as shop:
        code, _, err = run(
            capsys, "publish", shop.url, "-w", workflow, "--secret-env", "SHOP_SECRET", "--allow-private"
        )
        assert code == 1 and "status 403" in err and "goes on from there" in err
        code, _, err = run(capsys, "publish", shop.url, "-w", workflow, "--secret-env", "SHOP_SECRET")
        assert code == 1 and "add --allow-private" in err


def test_without_a_blessed_model_nothing_is_published(capsys, workflow: Path, tmp_path: Path) -> None:
    folder = RunFolder.of(load_workflow(workflow).workflow)
    (folder.root / "published").mkdir(parents=True)
    outputs = {"published_predictions": (folder.root / "published", {"products": 0})}
    Recorder(Path(folder.metadata), "shop").run("run-1", outputs)
    code, _, err = run(capsys, "publish", tmp_path / "out", "-w", workflow)
    assert code == 2 and "nothing may be published" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected a target"),
        (["shop.yaml"], "this is a workflow"),
        (["out", "--neighbours", "3"], "the run has none"),
        (["out", "--secret-env", "NOT_SET"], "NOT_SET"),
        (["mysql://a:hunter22@db/shop"], "name it as env:NAME"),
    ],
)
def test_bad_requests_leave_with_2(
    capsys, workflow: Path, tmp_path, monkeypatch, arguments: list[str], words: str
) -> None:
    record(workflow)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "publish", *arguments, "-w", workflow)
    assert (code, out) == (2, "") and words in err and "hunter22" not in err
