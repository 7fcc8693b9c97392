"""How commands learn which workflow is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from modules.errors import InputError
from pipeline.workflow_file import DEMO_WORKFLOW, load_workflow, only_workflow
from shelfmark.cli import app
from tests.cli.program import run

WORKFLOW = "name: {}\nfeed: {{files: [a.csv]}}\ntaxonomy: {{file: t.yaml}}\n"
TAXONOMY = "categories:\n  - {path: [Shoes]}\n  - {path: [Shoes, Boots], exclusive: true}\n"
TAXONOMY += "  - {path: [Shoes, Sandals], exclusive: true}\n"
COMMANDS = [
    ["run"], ["validate"], ["clean", "--keep-runs", "1"], ["compile"], ["metrics"], ["predictions"], ["statistics"],
    ["evaluation"], ["label"], ["label", "--no-browser"], ["label", "import-batch"], ["label", "status"],
    ["label", "serve"], ["label", "import", "x.csv"], ["similar", "boots"], ["rules", "suggest"], ["rules", "why", "1"],
    ["experiment", "similarity"], ["publish", "out"],
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHELFMARK_LABEL_STORE", raising=False)
    return tmp_path


def write(path: Path, name: str = "shop") -> Path:
    path.parent.mkdir(exist_ok=True)
    (path.parent / "a.csv").write_text("id,title\n1,Red boots\n")
    (path.parent / "t.yaml").write_text(TAXONOMY)
    path.write_text(WORKFLOW.format(name))
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_in_an_empty_folder_no_command_runs_anything(capsys, folder: Path, command: list[str]) -> None:
    code, out, err = run(capsys, *command)
    assert (code, out) == (2, "")
    assert "shelfmark init FEED..." in err and "shelfmark run --demo" in err and err.count("\n") == 1
    assert not list(folder.iterdir())


def test_the_only_workflow_of_the_folder_is_meant(capsys, folder: Path) -> None:
    write(folder / "my shop.yml")
    # None of these is a workflow: files beside one, another program's, and what cannot be read as text.
    (folder / "compose.yaml").write_text("name: other\nservices: {}\n")
    (folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00name: x\n")
    (folder / "folder.yaml").mkdir()
    code, out, _ = run(capsys, "validate")
    assert code == 0 and out.endswith("my shop.yml: ok\n")
    assert load_workflow(only_workflow()).run_command == "shelfmark run 'my shop.yml'"


def test_one_that_has_mistakes_is_still_the_one(capsys, folder: Path) -> None:
    write(folder / "shop.yaml").write_text("name: shop\nfeed: {files: [a.csv\n")
    code, _, err = run(capsys, "run")
    assert code == 2 and err.startswith("shop.yaml:")


def test_several_are_named_and_none_is_taken(capsys, folder: Path) -> None:
    for name in ("a", "b"):
        write(folder / f"{name}.yaml", name)
    code, _, err = run(capsys, "validate")
    assert code == 2 and "a.yaml, b.yaml" in err
    for given in (["b.yaml"], ["-w", "b.yaml"]):
        assert run(capsys, "validate", *given)[0] == 0


def test_one_below_is_named(folder: Path) -> None:
    write(folder / "shop" / "shop.yaml")
    with pytest.raises(InputError, match=r"shop/shop\.yaml"):
        only_workflow()


@pytest.mark.parametrize("given", [["shop.yaml"], ["-w", "shop.yaml"], ["--workflow", "shop.yaml"], ["--demo"]])
@pytest.mark.parametrize("command", [["metrics"], ["label", "status"], ["rules", "why", "1"], ["similar", "boots"]])
def test_every_command_takes_it_in_the_same_ways(capsys, folder: Path, command: list[str], given: list[str]) -> None:
    write(folder / "shop.yaml")
    _, _out, err = run(capsys, *command, *given)
    assert "Usage:" not in err and "none is named" not in err
    # Two are one too many, however they are given.
    code, _out, err = (
        run(capsys, *command, *given, "-w", "other.yaml") if "-w" not in given[0] else (2, "", "one workflow")
    )
    assert code == 2 and ("one workflow" in err or "other.yaml" in err)


def test_every_command_with_a_workflow_has_the_same_options() -> None:
    import typer

    def walk(group, names):
        for name, command in sorted(group.commands.items()):
            if hasattr(command, "commands"):
                yield from walk(command, [*names, name])
            elif "workflow" in {parameter.name for parameter in command.params}:
                yield [*names, name], {option for parameter in command.params for option in parameter.opts}

    commands = list(walk(typer.main.get_command(app), []))
    assert len(commands) > 25
    for names, options in commands:
        assert {"-w", "--workflow", "--demo"} <= options, names


def test_a_label_store_in_the_file_lies_beside_it(folder: Path) -> None:
    path = write(folder / "shop" / "shop.yaml")
    path.write_text(path.read_text() + "labels: {store: shop.labels.sqlite}\n")
    assert load_workflow(path).label_store == "shop/shop.labels.sqlite"
    assert load_workflow("shop/shop.yaml").label_store == "shop/shop.labels.sqlite"
    assert load_workflow(path, ["labels.store=here.sqlite"]).label_store == "here.sqlite"
    assert load_workflow(path, ["labels.store=postgresql://a@b/c"]).label_store == "postgresql://a@b/c"
    assert load_workflow(path, ["labels.store=null"]).label_store is None


def test_the_demo_is_named_where_it_was_run() -> None:
    assert load_workflow(DEMO_WORKFLOW).run_command == "shelfmark run --demo"
    assert CliRunner().invoke(app, ["label", "nonsense"]).exit_code == 2
