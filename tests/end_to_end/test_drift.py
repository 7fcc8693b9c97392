"""A cron job's day: a run, its feed again, and a feed of which a retailer has lost a column; by processes alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.test_after_a_run import Shop, shop  # noqa: F401

pytestmark = pytest.mark.slow
DRIFTED, REFUSED = 3, 2


def drift(shop: Shop, *arguments: str) -> tuple[int, str, str]:  # noqa: F811
    done = subprocess.run(**shop.command("drift", *arguments), capture_output=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_exit_codes_of_a_days_commands(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    code, _, err = drift(shop)
    assert code == REFUSED and "shelfmark predict" in err
    assert "next: shelfmark drift --demo" in shop.shelfmark("predict")
    code, out, _ = drift(shop)
    assert code == 0 and "no alarm" in out, out

    feed = shop.folder / "runs" / "demo-catalogue" / "feed"
    today = []
    for file in sorted(feed.iterdir()):
        if file.name == "parcelnoz.jsonl":
            rows = [json.loads(line) for line in file.read_text("utf-8", errors="replace").splitlines() if '"' in line]
            file = tmp_path / "parcelnoz.jsonl"
            file.write_text("".join(json.dumps({**row, "color": ""}) + "\n" for row in rows), "utf-8")
        today.append(str(file))
    shop.shelfmark("predict", *today)
    code, out, _ = drift(shop, "--json")
    said = json.loads(out)
    raised = [(row["retailer"], row["kind"], row["subject"]) for row in said["comparisons"] if row["drifted"]]
    assert code == DRIFTED and raised == [("parcelnoz", "missing", "color")]
    code, out, _ = drift(shop)
    assert code == DRIFTED and "parcelnoz: column color: missing values" in out and "next: mend the feed" in out
    assert (shop.runs / "daily" / "drift.html").read_text("utf-8").count("<svg") > 3
