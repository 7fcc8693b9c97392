"""``shelfmark publish --rollback``: what arrives, which model counts until when, and what cannot be gone back to."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modules.paths import near
from modules.predictions.daily.state import DailyState
from pipeline.cleaning import Retention, removable
from pipeline.results import published_model, published_version
from tests.cli.program import run
from tests.rollback.history import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two models were published; the second one's feed has products more."""
    return Shop(tmp_path)


def publish(capsys: Any, shop: Shop, *more: str) -> str:
    code, out, err = run(capsys, "publish", shop.out, "-w", shop.workflow, *more)
    assert (code, err) == (0, "")
    return out


def refused(capsys: Any, shop: Shop, *more: object) -> str:
    code, _, err = run(capsys, "publish", *more, "-w", shop.workflow)
    assert code == 2 and "Traceback" not in err
    return " ".join(err.split())


def two_models(capsys: Any, shop: Shop) -> None:
    shop.run("run-1", "m1", seed=1)
    publish(capsys, shop)
    shop.run("run-2", "m2", seed=2, products=40)
    publish(capsys, shop)
    assert shop.arrived() == shop.said["run-2"] != shop.said["run-1"]


def test_the_publication_before_arrives_as_it_was(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    differing = sum(shop.said["run-1"][name] != shop.said["run-2"][name] for name in shop.said["run-1"])
    out = publish(capsys, shop, "--rollback")
    assert shop.arrived() == shop.said["run-1"]
    assert f"{differing:,} documents sent, 10 products removed" in out and "model of run run-1" in out
    assert "labels, rules, runs and the withdrawn model are kept" in out and "next: shelfmark predict" in out
    # The same command again, and a later publication, change nothing.
    files = sorted(shop.out.iterdir())
    for more in (["--rollback"], []):
        assert "0 documents sent, 0 products removed" in publish(capsys, shop, *more)
    assert sorted(shop.out.iterdir()) == files and shop.arrived() == shop.said["run-1"]


def test_the_older_model_counts_until_a_new_one_is_blessed(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    before = published_version(shop.loaded)
    publish(capsys, shop, "--rollback")
    assert published_version(shop.loaded) != before
    found, served = published_model(shop.loaded)
    assert (found.id, served.parent.name, shop.served()) == ("run-1", "m1", "m1")
    # A run that blesses nothing publishes by the withdrawn model again.
    shop.run("run-3", "m2", seed=3)
    publish(capsys, shop)
    assert shop.arrived() == shop.said["run-1"] and published_model(shop.loaded)[0].id == "run-1"
    shop.run("run-4", "m3", seed=4)
    out = publish(capsys, shop)
    assert "rolled back" not in out and shop.arrived() == shop.said["run-4"]
    assert published_model(shop.loaded)[1].parent.name == "m3" == shop.served()


def test_lifting_returns_to_the_newest_model_for_servers_too(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    publish(capsys, shop, "--rollback")
    assert len(list(shop.folder.pushed.iterdir())) == 3
    code, out, _ = run(capsys, "publish", "--lift", "-w", shop.workflow)
    assert code == 0 and "lifted" in out and not shop.folder.rollback.exists()
    assert shop.served() == "m2" and len(list(shop.folder.pushed.iterdir())) == 2
    publish(capsys, shop)
    assert shop.arrived() == shop.said["run-2"]
    assert "no rollback to lift" in run(capsys, "publish", "--lift", "-w", shop.workflow)[1]


def test_a_version_that_cannot_be_taken_from_servers_keeps_the_rollback(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    publish(capsys, shop, "--rollback")
    newest = max(shop.folder.pushed.glob("[0-9]*"), key=lambda path: int(path.name))
    shutil.rmtree(newest)
    newest.write_text("no folder")
    code, out, err = run(capsys, "publish", "--lift", "-w", shop.workflow)
    assert code == 2 and f"{near(newest)}: cannot be deleted: " in err and "lifted" not in out
    assert shop.folder.rollback.exists()
    newest.unlink()
    assert run(capsys, "publish", "--lift", "-w", shop.workflow)[0] == 0 and shop.served() == "m2"


def test_any_publication_can_be_named_and_the_list_has_them(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    shop.run("run-3", "m3", seed=3)
    publish(capsys, shop)
    publish(capsys, shop, "--rollback")
    assert shop.arrived() == shop.said["run-2"]
    publish(capsys, shop, "--rollback", "--to", "1")
    assert shop.arrived() == shop.said["run-1"] and shop.served() == "m1"
    code, out, err = run(capsys, "publish", "--list", "-w", shop.workflow)
    lines = [line.split() for line in out.splitlines() if line.split()[0].isdigit()]
    assert (code, err) == (0, "") and [int(line[0]) for line in lines] == [5, 4, 3, 2, 1]
    assert [line[3] for line in lines] == ["run-1", "run-2", "run-3", "run-2", "run-1"]
    assert [publication.back_to for publication in shop.publications()] == [None, None, None, 2, 1]
    assert len({line[4] for line in lines}) == 3, "each model has its fingerprint"
    assert "the model is the newest one" in " ".join(out.split())


@pytest.mark.parametrize(("gone", "said"), [("run-1", "predictions of run run-1 were cleaned away"),
                                            ("m1", "model of run run-1 was cleaned away")])  # fmt: skip
def test_what_is_cleaned_away_is_said_and_changes_nothing(capsys: Any, shop: Shop, gone: str, said: str) -> None:
    two_models(capsys, shop)
    shutil.rmtree(shop.folder.root / gone)
    assert said in refused(capsys, shop, shop.out, "--rollback", "--to", "1")
    assert "of which nothing is missing; there is none" in refused(capsys, shop, shop.out, "--rollback")
    assert "--lift" in refused(capsys, shop, shop.out, "--rollback", "--to", "2")
    assert "expected the number of a publication" in refused(capsys, shop, shop.out, "--rollback", "--to", "9")
    assert "expected --rollback beside it" in refused(capsys, shop, shop.out, "--to", "1")
    assert "alone" in refused(capsys, shop, shop.out, "--list")
    assert not shop.folder.rollback.exists() and shop.served() == "m2" and shop.arrived() == shop.said["run-2"]


def test_a_rehearsal_changes_nothing(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    out = publish(capsys, shop, "--rollback", "--dry-run")
    assert "10 gone" in out and "without --dry-run" in out
    assert not shop.folder.rollback.exists() and shop.served() == "m2" and shop.arrived() == shop.said["run-2"]


def test_many_products_that_would_go_need_a_word_more(capsys: Any, shop: Shop) -> None:
    shop.run("run-1", "m1", seed=1, products=10)
    publish(capsys, shop)
    shop.run("run-2", "m2", seed=2, products=150)
    publish(capsys, shop)
    code, _, err = run(capsys, "publish", shop.out, "-w", shop.workflow, "--rollback")
    assert code == 2 and "--many-gone" in err and len(shop.arrived()) == 150
    publish(capsys, shop, "--rollback", "--many-gone")
    assert shop.arrived() == shop.said["run-1"]


def test_daily_predictions_that_a_later_day_replaced_are_not_gone_back_to(capsys: Any, shop: Shop) -> None:
    shop.run("run-1", "m1", seed=1)
    publish(capsys, shop)
    with DailyState(shop.folder.daily) as state:
        # A day without products: enough to tell whose rows were published.
        state.begin("run-1", "key")
        state.end("run-1", "key")
    with closing(sqlite3.connect(next(shop.folder.publications.glob("*.sqlite")))) as log, log:
        log.execute("insert into publications (version, run, started, ended, rows, number) values"
                    " (9000000000000000, 'run-1', 1, 2, '17.5', 2)")  # fmt: skip
    shop.run("run-2", "m2", seed=2)
    publish(capsys, shop)
    assert "replaced by those of a later day" in refused(capsys, shop, shop.out, "--rollback", "--to", "2")
    # The run's own table is there, and no later pass takes its place.
    publish(capsys, shop, "--rollback")
    assert shop.arrived() == shop.said["run-1"]


def test_a_retention_keeps_what_was_gone_back_to(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    shop.run("run-3", "m2", seed=3)
    kept = shop.folder.root / "run-1" / "published"

    def goes() -> bool:
        return kept in {own.path for own in removable(shop.folder, "shop", Retention(runs=1), 0)}

    assert goes()
    publish(capsys, shop, "--rollback")
    assert not goes()
    shop.run("run-4", "m3", seed=4)
    assert goes(), "the rollback is over"


def test_a_damaged_file_says_so_and_can_be_lifted(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    publish(capsys, shop, "--rollback")
    shop.folder.rollback.write_text('{"run": "run-1"')
    assert "the file is damaged" in refused(capsys, shop, shop.out)
    assert run(capsys, "publish", "--lift", "-w", shop.workflow)[0] == 0
    publish(capsys, shop)
    assert shop.arrived() == shop.said["run-2"]


def test_a_file_that_names_other_folders_deletes_none(capsys: Any, shop: Shop, tmp_path: Path) -> None:
    two_models(capsys, shop)
    publish(capsys, shop, "--rollback")
    precious = tmp_path / "7"
    precious.mkdir()
    text = shop.folder.rollback.read_text()
    shop.folder.rollback.write_text(text.replace(str(shop.folder.pushed), str(tmp_path)).replace("pushed/", ""))
    run(capsys, "publish", "--lift", "-w", shop.workflow)
    assert precious.is_dir() and len(list(shop.folder.pushed.iterdir())) == 3


def test_a_log_of_an_older_version_gets_numbers(capsys: Any, shop: Shop) -> None:
    two_models(capsys, shop)
    with closing(sqlite3.connect(next(shop.folder.publications.glob("*.sqlite")))) as log, log:
        for name in ("number", "model", "rows", "products", "back_to"):
            log.execute(f"alter table publications drop column {name}")
    out = run(capsys, "publish", "--list", "-w", shop.workflow)[1]
    assert [line.split()[0] for line in out.splitlines() if line.split()[0].isdigit()] == ["2", "1"]
    publish(capsys, shop, "--rollback", "--to", "1")
    assert shop.arrived() == shop.said["run-1"]


@pytest.mark.slow
@pytest.mark.parametrize("point", ["noted", "pushed", "begun", "sent"])
def test_after_a_kill_the_same_command_ends_it(capsys: Any, shop: Shop, point: str) -> None:
    two_models(capsys, shop)
    command = [sys.executable, "-m", "tests.rollback.killed", str(shop.workflow), str(shop.out), point]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert shop.folder.rollback.exists()
    publish(capsys, shop, "--rollback")
    assert shop.arrived() == shop.said["run-1"] and shop.served() == "m1"
    versions = [path for path in shop.folder.pushed.iterdir() if path.name.isdigit()]
    assert len(versions) == 3, "the model was pushed once"
    run(capsys, "publish", "--lift", "-w", shop.workflow)
    assert shop.served() == "m2"


@pytest.mark.slow
@pytest.mark.parametrize("point", ["noted", "pushed"])
def test_a_rollback_that_was_cut_off_can_be_lifted(capsys: Any, shop: Shop, point: str) -> None:
    two_models(capsys, shop)
    command = [sys.executable, "-m", "tests.rollback.killed", str(shop.workflow), str(shop.out), point]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert run(capsys, "publish", "--lift", "-w", shop.workflow)[0] == 0
    assert shop.served() == "m2" and not shop.folder.rollback.exists()
    assert len([path for path in shop.folder.pushed.iterdir() if path.name.isdigit()]) == 2
