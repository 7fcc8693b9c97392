"""A stranger's feed: `init`, and the commands that it prints, without a line edited."""

from __future__ import annotations

import csv
import os
import random
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modules.taxonomy import Taxonomy
from tests.labelling.serving import Annotator

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = {
    "Shoes > Boots": ("boot", "chelsea"), "Shoes > Sandals": ("sandal", "flip-flop"), "Hats > Caps": ("cap", "visor"),
    "Hats > Beanies": ("beanie", "bobble hat"), "Home > Lamps": ("lamp", "led light"), "Home > Vases": ("vase", "pot"),
}  # fmt: skip


def write_feed(path: Path) -> dict[str, str]:
    """A feed that names the category of every third product; what the others' are."""
    rng = random.Random(3)
    colours, hidden = ("red", "blue", "green", "black"), {}
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sku", "name", "category"])
        for number in range(300):
            category = rng.choice(sorted(WORDS))
            name = f"{rng.choice(colours)} {rng.choice(WORDS[category])} {rng.choice(colours)} {rng.randint(1, 400)}"
            table.writerow([f"s{number}", name, category if number % 3 == 0 else ""])
            hidden[f"s{number}"] = category
    return hidden


class Shell:
    """Runs lines as a person types them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.opened = folder / "opened"
        browser = folder / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" > {shlex.quote(str(self.opened))}\n')
        browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "SHELFMARK_LABEL_STORE"},
            "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200", "BROWSER": str(browser),
        }  # fmt: skip

    def start(self, line: str) -> subprocess.Popen[str]:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "shelfmark"
        return subprocess.Popen(
            [sys.executable, "-m", "shelfmark", *arguments], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # A background job inherits an ignored SIGINT, which Python then leaves ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        )  # fmt: skip

    def __call__(self, line: str) -> str:
        process = self.start(line)
        said, _ = process.communicate(timeout=900)
        assert process.returncode == 0, said
        return said


def test_init_run_label_run(tmp_path: Path) -> None:
    hidden = write_feed(tmp_path / "my shop.csv")
    shell = Shell(tmp_path)
    run, label, again = shell("shelfmark init 'my shop.csv' --output 'my dir'").splitlines()[-3:]
    assert shlex.split(run, comments=True) == shlex.split(again, comments=True)

    first = shell(run)
    steps = [line.strip() for line in first.splitlines() if line.startswith("  shelfmark ")]
    assert shlex.split(steps[0]) == shlex.split(label, comments=True)
    assert "level-1 accuracy" in first and "level-2 accuracy" in first
    shell(steps[1])
    with (tmp_path / "my-shop.csv").open(newline="") as table:
        assert len(list(csv.DictReader(table))) == len(hidden)

    answered = answer(shell, label.partition("#")[0] + " --port 0", hidden, tmp_path)
    assert answered > 10
    # The store lies beside the workflow, and the next run learns from it.
    assert (tmp_path / "my dir" / "my-shop.labels.sqlite").is_file()
    second = shell(again)
    assert f"labels: {answered} rows" in second and "change since" in second


def answer(shell: Shell, line: str, hidden: dict[str, str], folder: Path) -> int:
    """Answers all that is asked, and stops the server; how many answers there were."""
    taxonomy = Taxonomy.load(next((folder / "my dir").glob("*.taxonomy.yaml")))
    server, said = shell.start(line), []
    assert server.stdout is not None
    url = ""
    for text in server.stdout:
        said.append(text)
        if " at http" in text:
            url = text.split(" at ")[1].split()[0]
            break
    assert url, said
    assert any("products queued" in text for text in said)
    try:
        annotator, answers = Annotator(url), 0
        annotator.look()
        while (card := annotator.next()) is not None:
            annotator.say(card, taxonomy.find(hidden[card["product"]]).id).raise_for_status()
            answers += 1
    finally:
        server.send_signal(signal.SIGINT)
        rest = server.stdout.read()
        server.wait(timeout=60)
    assert "next: shelfmark run" in rest
    assert shell.opened.read_text().strip() == url
    return answers
