"""``shelfmark taxonomy``: a shop's files and label store, carried over to a new taxonomy, also by a killed program."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from labelling.store import Store, rows
from modules.rules import load_rules
from modules.taxonomy import Taxonomy
from pipeline.run_folder import RunFolder
from pipeline.taxonomy_files import refuse_unfinished
from pipeline.workflow_file import load_workflow
from shelfmark import cli
from tests.cli.program import run
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES, TREE

NEW = "Shoes\nShoes > Work boots\nShoes > Riding boots\nShoes > Sandal\nLuggage\nLuggage > Wallets and totes\n"
MAPPING = """\
changes:
- {old: "Shoes > Boots", new: ["Shoes > Work boots", "Shoes > Riding boots"]}
- {old: "Shoes > Sandals", new: ["Shoes > Sandal"]}
- {old: "Bags", new: [Luggage]}
- {old: "Bags > Wallets", new: ["Luggage > Wallets and totes"]}
- {old: "Bags > Totes", new: ["Luggage > Wallets and totes"]}
"""
RULES = """\
# Our rules
rules:
- id: sandals  # by name
  category: Shoes > Sandals
  when: {field: title, word: sandal}
- id: bags
  category: [Bags]
  when: {field: title, word: bag}
"""
WORKFLOW = """\
name: shop
feed: {files: [feed.csv]}
taxonomy: {file: taxonomy.yaml}
rules: {file: rules.yaml}
labels: {files: [labels.jsonl, more.csv.gz], store: labels.sqlite}
evaluation:
  thresholds:
    exclusive:
      category_f1:  # what the buyers need
        Shoes > Boots: 0.5
        Bags > Totes: 0.9
        Bags > Wallets: 0.4
      accuracy: 0.6
"""


def shop_in(folder: Path) -> Path:
    """A workflow with every file that speaks of categories, and a label store; returns the workflow's file."""
    folder.mkdir()
    TREE.write(folder / "taxonomy.yaml")
    (folder / "new.txt").write_text(NEW)
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "feed.csv").write_text("id,title\np0,A boot\n")
    lines = [{"product_id": "p1", "category": "Shoes > Boots"}, {"product_id": "p2", "category": TOTES}]
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "more.csv.gz").write_bytes(gzip.compress(b"product_id;category\n'p3;Shoes > Sandals\n", mtime=0))
    with Store(str(folder / "labels.sqlite")) as store:
        shop.fill(store, shop.batch(3))
        given = [
            rows.Label(f"p{n}", "exclusive", category, "yes", "ann", NOW + n, "manual")
            for n, category in enumerate([BOOTS, SANDALS, TOTES])
        ]
        with store.write() as connection:
            rows.append(connection, given)
    local = f"runners: {{local: {{folder: {json.dumps(str(folder / 'runs'))}}}}}\n"
    (folder / "shop.yaml").write_text(WORKFLOW + local)
    return folder / "shop.yaml"


def arguments(workflow: Path, *more: str) -> list[object]:
    folder = workflow.parent
    wanted = ["--to", folder / "new.txt", "--mapping", folder / "mapping.yaml", "--workflow", workflow]
    return ["taxonomy", "migrate", *wanted, *more]


def state(folder: Path) -> dict[str, object]:
    """What the files and the store say, without the folder of runs."""
    files: dict[str, object] = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and "sqlite" not in file.name and not file.name.startswith("shop.yaml"):
            files[file.name] = file.read_bytes()
    files["workflow"] = load_workflow(folder / "shop.yaml").workflow.evaluation
    with Store(str(folder / "labels.sqlite")) as store, store.read() as connection:
        files["labels"] = [(row.product_id, row.value, row.category) for row in rows.read(connection)]
    return files


def test_diff_says_what_is_certain_open_and_a_guess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    output = tmp_path / "mapping.yaml"
    new = workflow.parent / "new.txt"
    code, out, _ = run(capsys, "taxonomy", "diff", new, "--workflow", workflow, "--output", output)
    assert code == 3
    assert "guess   renamed       Shoes > Sandals -> Shoes > Sandal (its name is 92% alike)" in out
    assert "open    gone          Bags -> ?" in out
    assert "guess   merged        Bags > Totes -> Luggage > Wallets and totes" in out
    assert "1 category unchanged, 6 changes: 4 guesses, 1 open" in out
    by_old = {row["old"]: row["new"] for row in yaml.safe_load(output.read_text())["changes"]}
    assert by_old["Bags"] == "?"
    assert set(by_old["Shoes > Boots"]) == {"Shoes > Work boots", "Shoes > Riding boots"}
    code, out, _ = run(capsys, "taxonomy", "diff", workflow.parent / "taxonomy.yaml", new, "--json")
    document = json.loads(out)
    assert (code, document["same"]) == (3, 1)
    assert [change["state"] for change in document["changes"]].count("open") == 1
    assert run(capsys, "taxonomy", "diff", new, new)[0] == 0


def test_diff_overwrites_no_mapping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    mapping = workflow.parent / "mapping.yaml"
    code, _, err = run(capsys, "taxonomy", "diff", workflow.parent / "new.txt", "-w", workflow, "-o", mapping)
    assert (code, mapping.read_text()) == (2, MAPPING)
    assert "--force overwrites it" in err


def test_diff_says_where_a_mapping_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    asked = ["taxonomy", "diff", workflow.parent / "new.txt", "--workflow", workflow, "--force", "--output"]
    for output in (tmp_path, tmp_path / "absent" / "mapping.yaml"):
        code, _, err = run(capsys, *asked, output)
        assert code == 2 and f"{output}: cannot be written: " in err


def test_the_next_command_names_the_workflow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    new, output = workflow.parent / "new.txt", tmp_path / "mapping.yaml"
    _, out, _ = run(capsys, "taxonomy", "diff", new, "--workflow", workflow, "--output", output)
    command = shlex.split(out.splitlines()[-1].partition(", then ")[2])
    assert command[:3] == ["shelfmark", "taxonomy", "migrate"]
    code, _, err = run(capsys, *command[1:])
    assert code == 2 and "this change is open" in err


def test_without_write_nothing_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    before = state(workflow.parent)
    code, out, err = run(capsys, *arguments(workflow))
    assert code == 0, err
    assert (
        "3 labels in the store: 1 as they are, 1 carried over (0 of a split category by a rule), 1 open, 0 dropped"
        in out
    )
    assert "labels.jsonl (2 labels: 0 as they are, 1 carried over, 1 open, 0 dropped)" in out
    assert "--write does it" in out
    assert state(workflow.parent) == before


def test_everything_that_names_a_category_is_carried_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    folder = workflow.parent
    old_text = workflow.read_text()
    code, out, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 0, err
    taxonomy = Taxonomy.load(folder / "taxonomy.yaml")
    assert [category.path for category in taxonomy] == [category.path for category in Taxonomy.load(folder / "new.txt")]
    assert taxonomy.find("Shoes > Sandal").id == SANDALS
    rules = load_rules(folder / "rules.yaml", taxonomy)
    assert [taxonomy.path_text(rule.category) for rule in rules] == ["Shoes > Sandal", "Luggage"]
    assert "- id: sandals  # by name" in (folder / "rules.yaml").read_text()
    thresholds = load_workflow(workflow).workflow.evaluation.thresholds["exclusive"]
    assert thresholds.category_f1 == {
        "Shoes > Work boots": 0.5, "Shoes > Riding boots": 0.5, "Luggage > Wallets and totes": 0.9,
    }  # fmt: skip
    assert thresholds.accuracy == 0.6
    labels = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    assert [(row["product_id"], row["value"], row["category"]) for row in labels] == [
        ("p1", "retracted", None), ("p2", "yes", "Luggage > Wallets and totes"),
    ]  # fmt: skip
    with gzip.open(folder / "more.csv.gz", "rt") as table:
        assert table.read().splitlines()[1].startswith("p3,exclusive,Shoes > Sandal,yes,")
    merged = taxonomy.find("Luggage > Wallets and totes").id
    assert state(folder)["labels"] == [("p0", "retracted", None), ("p1", "yes", SANDALS), ("p2", "yes", merged)]
    assert (folder / "shop.yaml.bak").read_text() == old_text
    with Store(str(folder / "labels.sqlite.bak")) as copy, copy.read() as connection:
        assert [row.category for row in rows.read(connection)] == [BOOTS, SANDALS, TOTES]
    assert "the next run trains a new one" in out
    assert "next: shelfmark label" in out
    after = state(folder)
    code, out, _ = run(capsys, *arguments(workflow, "--write"))
    assert (code, state(folder)) == (0, after)
    assert "nothing to do" in out


def test_all_that_is_open_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    mapping = workflow.parent / "mapping.yaml"
    mapping.write_text(
        MAPPING.replace("[Luggage]", '"?"').replace('- {old: "Bags > Wallets"', '# - {old: "Bags > Wallets"')
    )
    before = state(workflow.parent)
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert (code, state(workflow.parent)) == (2, before)
    lines = err.splitlines()
    assert len(lines) == 2
    assert "'Bags > Wallets': the mapping says nothing of this category" in lines[0]
    assert "mapping.yaml:4: new = 'Bags': this change is open" in lines[1]


def test_a_rule_of_a_split_category_is_for_people_to_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    rules = workflow.parent / "rules.yaml"
    rules.write_text(RULES.replace("Shoes > Sandals", "Shoes > Boots"))
    before = state(workflow.parent)
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert (code, state(workflow.parent)) == (2, before)
    assert "rules.yaml:4: category = 'Shoes > Boots': this rule's category was split into" in err
    # The file may speak of the new taxonomy already, and then decides about a label that is open.
    rules.write_text(RULES.replace("Shoes > Sandals", "Shoes > Work boots").replace("word: sandal", "word: p0"))
    code, out, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 0, err
    assert "1 as they are, 2 carried over (1 of a split category by a rule), 0 open" in out


def test_the_feeds_own_categories_have_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    text = workflow.read_text().replace("{files: [feed.csv]}", "{files: [feed.csv], fields: {truth: kind}}")
    workflow.write_text(text.replace("{file: taxonomy.yaml}", "{from_truth: true}"))
    code, _, err = run(capsys, *arguments(workflow))
    assert code == 2
    assert "shop.yaml:3: taxonomy.from_truth: expected a taxonomy in a file" in err


def test_a_foreign_file_gives_way_to_one_of_our_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    folder = workflow.parent
    (folder / "taxonomy.yaml").unlink()
    (folder / "ours.txt").write_text("".join(f"{category.text}\n" for category in TREE))
    workflow.write_text(workflow.read_text().replace("taxonomy.yaml", "ours.txt"))
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 0, err
    assert load_workflow(workflow).workflow.taxonomy.file == "ours.yaml"
    assert Taxonomy.load(folder / "ours.yaml").find("Shoes > Sandal").id == SANDALS


def test_a_category_of_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    folder = workflow.parent
    name = '\'= "cmd", {x}: #1 [\\n] 100% &amp; <b>'
    new = [["Shoes"], ["Shoes", name], ["Bags"], ["Bags", "Wallets"], ["Bags", "Totes"], ["Shoes", "Sandals"]]
    written = [{"path": path, "exclusive": len(path) > 1} for path in new]
    (folder / "new.yaml").write_text(yaml.safe_dump({"categories": written}))
    lines = [{"product_id": "'p1", "category": "Shoes > Boots"}]
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with gzip.open(folder / "more.csv.gz", "wt") as table:
        table.write("product_id,category\n''p3,Shoes > Boots\n")
    (folder / "rules.yaml").write_text(RULES.replace("Shoes > Sandals", "Shoes > Boots"))
    mapping = {"changes": [{"old": "Shoes > Boots", "new": [f"Shoes > {name}"]}]}
    (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping))
    wanted = ("--to", folder / "new.yaml", "--mapping", folder / "mapping.yaml", "--workflow", workflow)
    code, _, err = run(capsys, "taxonomy", "migrate", *wanted, "--write")
    assert code == 0, err
    taxonomy = Taxonomy.load(folder / "taxonomy.yaml")
    assert taxonomy.find(["Shoes", name]).id == BOOTS
    assert load_rules(folder / "rules.yaml", taxonomy)["sandals"].category == BOOTS
    assert load_workflow(workflow).workflow.evaluation.thresholds["exclusive"].category_f1[f"Shoes > {name}"] == 0.5
    with gzip.open(folder / "more.csv.gz", "rt") as table:
        assert table.read().splitlines()[1].startswith("''p3,exclusive,\"Shoes > '= ")
    assert json.loads((folder / "labels.jsonl").read_text())["product_id"] == "'p1"


def killed(action: Callable[[], object]) -> bool:
    """Whether a process of its own was killed while it did this."""
    child = os.fork()
    if child == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def migrate_killed(workflow: Path, target: object, name: str, number: int) -> None:
    """Migrates until the function is called for the time of this number, from 0; there this process is killed."""
    real, calls = getattr(target, name), iter(range(10**6))

    def counting(*given: object, **named: object) -> object:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)

    setattr(target, name, counting)
    cli.main([str(argument) for argument in arguments(workflow, "--write")])


@pytest.mark.parametrize("place", ["files", "store"])
def test_a_killed_migration_is_brought_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    from labelling.store import accounts

    whole = shop_in(tmp_path / "whole")
    assert run(capsys, *arguments(whole, "--write"))[0] == 0
    expected = state(whole.parent)
    target, call = (os, "replace") if place == "files" else (accounts, "record")
    for number in range(20):
        workflow = shop_in(tmp_path / f"killed-{number}")

        if not killed(lambda workflow=workflow, number=number: migrate_killed(workflow, target, call, number)):
            assert number > (3 if place == "files" else 0)
            return
        code, _, err = run(capsys, *arguments(workflow, "--write"))
        assert code == 0, err
        after = state(workflow.parent)
        assert set(expected) <= set(after)
        assert {name: content for name, content in after.items() if name in expected} == expected
        assert not list(workflow.parent.glob(".new-*"))
    raise AssertionError("it was killed every time")


def test_nothing_runs_on_a_migration_that_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = shop_in(tmp_path / "shop")
    refuse_unfinished(load_workflow(workflow))
    assert killed(lambda: migrate_killed(workflow, os, "replace", 1))
    code, out, err = run(capsys, "run", str(workflow))
    assert (code, out) == (2, "")
    assert "a migration of its taxonomy was stopped half-way" in err and "taxonomy migrate --write" in err
    assert run(capsys, *arguments(workflow, "--write"))[0] == 0
    refuse_unfinished(load_workflow(workflow))


def test_a_file_that_changed_after_a_kill_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = shop_in(tmp_path / "shop")
    assert killed(lambda: migrate_killed(workflow, os, "replace", 1))
    (workflow.parent / "rules.yaml").write_text(RULES + "# mine\n")
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 2
    assert "rules.yaml: changed while the taxonomy was migrated" in err
    assert (workflow.parent / "rules.yaml").read_text().endswith("# mine\n")


@pytest.mark.parametrize(
    "content", ['{"identity": "x", "fil', "[]", "{}", '{"identity": 1, "moves": "{}", "files": [], "rules": 0}']
)
def test_a_damaged_journal_is_said_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    workflow = shop_in(tmp_path / "shop")
    before = state(workflow.parent)
    journal = RunFolder.of(load_workflow(workflow).workflow).path / "taxonomy-migration.json"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text(content)
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 2 and str(journal) in err and "damaged" in err and ".bak" in err
    assert state(workflow.parent) == before and journal.read_text() == content


def test_a_journal_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = shop_in(tmp_path / "shop")
    before = state(workflow.parent)
    place = RunFolder.of(load_workflow(workflow).workflow).path / "taxonomy-migration.json.new"
    place.mkdir(parents=True)
    code, _, err = run(capsys, *arguments(workflow, "--write"))
    assert code == 2 and "taxonomy-migration.json: cannot be written: " in err
    assert state(workflow.parent) == before
