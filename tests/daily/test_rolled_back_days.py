"""A day after a rollback: the older model predicts it, and what it says is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from modules.similarity.identity import fingerprint
from tests.cli.program import run
from tests.daily.shop import Shop, day


def published(shop: Shop, out: Path, capsys: Any, *more: str) -> dict[str, dict[str, Any]]:
    """The newest document of each product that the folder has."""
    code, _, err = run(capsys, "publish", out, "-w", shop.workflow, *more)
    assert (code, err) == (0, "")
    rows = [json.loads(line) for file in sorted(out.iterdir()) for line in file.read_text().splitlines()]
    newest = {row["id"]: row for row in rows}
    return {name: row for name, row in newest.items() if not row.get("deleted")}


def test_the_older_model_predicts_the_day(capsys: Any, shop: Shop, tmp_path: Path) -> None:
    out, older, rows = tmp_path / "out", shop.model, day(20)
    published(shop, out, capsys)
    shop.model = older.with_name("newer")
    shutil.copytree(older, shop.model)
    (shop.model / "Format-Serving" / "note.txt").write_text("another model")
    shop.record("run-2", day(12))
    assert shop.predict(rows).new == 20
    assert set(published(shop, out, capsys)) == set(rows)

    # Only the run's own products are left, since nobody has asked the older model about the others.
    assert set(published(shop, out, capsys, "--rollback")) == set(day(5))
    counts = shop.predict(rows)
    assert (counts.by_new_model, counts.same) == (20, 0)
    documents = published(shop, out, capsys)
    assert set(documents) == set(rows)
    arrived_later = [documents[name] for name in rows if name not in day(5)]
    assert {row["model"] for row in arrived_later} == {fingerprint(older / "Format-Serving")}
    assert {row["run"] for row in arrived_later} == {"run-1"}

    code, said, _ = run(capsys, "predict", "-w", shop.workflow)
    assert code == 0 and "rolled back to the model of run run-1 since" in said and "20 unchanged" in said
    assert run(capsys, "publish", "--lift", "-w", shop.workflow)[0] == 0
    assert shop.predict(rows).by_new_model == 20
