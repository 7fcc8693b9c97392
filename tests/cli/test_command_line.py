"""The program as a user starts it: exit codes, what is printed where, and what is not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import run

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "tfx", "apache_beam", "pandas", "pyarrow", "ml_metadata", "scipy", "sklearn", "keras")


def start(
    *arguments: str, program: tuple[str, ...] = ("-m", "shelfmark"), cwd: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *program, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=60
    )


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("id,title\n1,Red boots\n2,Sandals\n")
    (tmp_path / "t.yaml").write_text(
        "categories:\n  - {path: [Shoes]}\n  - {path: [Shoes, Boots], exclusive: true}\n"
        "  - {path: [Shoes, Sandals], exclusive: true}\n"
    )
    path = tmp_path / "w.yaml"
    path.write_text("name: shop\nfeed: {files: [a.csv]}\ntaxonomy: {file: t.yaml}\n")
    return path


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["run", "--nonsense"], ["nonsense"], ["validate", "WORKFLOW"],
     ["validate", "missing.yaml"], ["validate", "WORKFLOW", "--set", "model.dropout=2"],
     ["run", "WORKFLOW", "--set", "taxonomy.file=none.yaml"],
     ["rules", "suggest", "--taxonomy", "missing.yaml"], ["similar", "--help"],
     ["similar", "serve", "--host", "0.0.0.0"], ["compile", "--help"], ["submit", "-w", "WORKFLOW"],
     ["submit", "-w", "WORKFLOW", "--endpoint", "http://x", "--package", "missing.yaml"]],
    ids=" ".join,
)  # fmt: skip
def test_nothing_heavy_is_imported_for_help_and_bad_input(workflow: Path, arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from shelfmark.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print('heavy:', [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = start(*[str(workflow) if a == "WORKFLOW" else a for a in arguments], program=("-c", code))
    assert "heavy: []" in done.stderr, done.stderr


def test_exit_codes_and_streams_of_the_program(workflow: Path) -> None:
    good = start("validate", str(workflow))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith(f"{workflow}: ok\n")
    bad = start("validate", str(workflow), "--set", "model.dropout=2", "--set", "sed=1")
    assert bad.returncode == 2 and bad.stdout == ""
    assert bad.stderr.splitlines() == [
        "--set: model.dropout = '2': expected a number of at least 0 and below 1",
        "--set: sed = '1': unknown key; did you mean 'seed'?",
    ]
    same = start("missing.yaml", program=("local_runner.py",))
    assert same.returncode == 2 and same.stderr.startswith("missing.yaml: expected a workflow file")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--nonsense"], ["metrics", "--compare", "one"], ["demo"],
     ["demo", "--output", "x", "--products", "3"], ["predictions", "--split", "other"],
     ["predictions", "--output", "x.txt"], ["init"], ["rules", "nonsense"],
     ["metrics", "--category", "x", "--compare", "a", "b"], ["rules", "report", "--objective", "other"], []],
    ids=" ".join,
)  # fmt: skip
def test_bad_arguments_leave_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert (out or err) and "Traceback" not in out + err
    assert not list(tmp_path.iterdir())


def test_every_problem_of_bad_files_is_one_line(capsys: pytest.CaptureFixture[str], workflow: Path) -> None:
    (workflow.parent / "t.yaml").write_text("categories:\n  - {path: Shoes, exclusiv: true}\n  - {path: A > B}\n")
    code, out, err = run(capsys, "validate", workflow)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) >= 2 and all(line.startswith(str(workflow.parent / "t.yaml")) for line in lines[:2])


def test_an_unexpected_error_is_one_line_and_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workflow: Path
) -> None:
    import pipeline.validate

    def fail(loaded: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(pipeline.validate, "check", fail)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "validate", workflow)
    assert (code, out) == (1, "")
    (log,) = (tmp_path / "runs" / "logs").iterdir()
    assert err == f"stopped by a failure: first line (log: {log.relative_to(tmp_path)})\n"
    assert "Traceback" in log.read_text() and "second line" in log.read_text()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://anna:PA5S@host/labels", "postgresql://anna:***@host/labels"),
        ("mysql+x://anna:PA5S@PA5S/PA5S:@host:33/l?charset=utf8", "mysql+x://anna:***@host:33/l?charset=utf8"),
        ("mysql://:PA5S@[::1]/l", "mysql://:***@[::1]/l"),
        ("postgresql:///l?user=anna&password=PA5S&port=1", "postgresql:///l?user=anna&password=***&port=1"),
        ("https://host:8080/path?page=2", "https://host:8080/path?page=2"),
        ("postgresql://anna@host/l", "postgresql://anna@host/l"),
        ("s3://bucket/a:b", "s3://bucket/a:b"),
    ],
)  # fmt: skip
def test_passwords_in_addresses_reach_no_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workflow: Path,
    address: str, shown: str,
) -> None:  # fmt: skip
    import pipeline.validate

    def fail(loaded: object) -> None:
        raise RuntimeError(f"no connection to {address} (tried once)")

    monkeypatch.setattr(pipeline.validate, "check", fail)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["shelfmark", "validate", f"--store={address}"])
    code, out, err = run(capsys, "validate", workflow)
    (log,) = (tmp_path / "runs" / "logs").iterdir()
    assert (code, out) == (1, "") and f"no connection to {shown} (tried once)" in err
    text = log.read_text()
    assert "PA5S" not in text + err and f"--store={shown}\n" in text and f"to {shown} (tried" in text


def test_init_then_validate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kinds = ["Shoes // Boots", "Shoes // Sandals", "Hats // Caps"]
    rows = [{"sku": f"s{i}", "name": f"red thing {i}", "category": kinds[i % 3]} for i in range(30)]
    (tmp_path / "My Feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "init", "My Feed.jsonl")
    assert (code, err) == (0, "")
    assert "separator '//'" in out and "'Shoes // Boots' -> Shoes | Boots" in out
    for field, column in (("id", "sku"), ("title", "name"), ("truth", "category")):
        assert any(line.split()[:2] == [field, column] for line in out.splitlines()), field
    commands = [line.partition("#")[0].split() for line in out.splitlines()[-3:]]
    assert commands == [["shelfmark", step, "my-feed/my-feed.yaml"] for step in ("run", "label", "run")]
    code, out, _ = run(capsys, "validate", "my-feed/my-feed.yaml")
    assert code == 0 and "5 categories, 3 of them exclusive" in out
    code, _, err = run(capsys, "init", "My Feed.jsonl")
    assert code == 2 and "--force" in err


def test_which_rule_put_a_product_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workflow: Path
) -> None:
    rules = "rules:\n  - {id: boots, category: Shoes > Boots, when: {field: title, word: boots}}\n"
    (workflow.parent / "r.yaml").write_text(rules)
    asked = (workflow, "--set", "rules.file=r.yaml")
    code, out, _ = run(capsys, "rules", "why", 1, *asked)
    assert code == 0
    assert out.splitlines() == ["Red boots", "boots -> Shoes > Boots", "  title word 'boots': 'boots'"]
    code, out, _ = run(capsys, "rules", "why", 1, *asked, "--category", "Shoes")
    assert code == 0 and "boots -> Shoes > Boots" in out
    code, out, _ = run(capsys, "rules", "why", 2, *asked)
    assert code == 0 and "no rule reaches this product" in out
    code, _, err = run(capsys, "rules", "why", 3, *asked)
    assert code == 2 and "'3'" in err
    code, _, err = run(capsys, "rules", "why", 1, *asked, "--category", "Shoe")
    assert code == 2 and "did you mean 'Shoes'" in err


def test_demo_rules_suggest_and_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "demo", "--output", "cat", "--products", 300, "--no-images")
    assert code == 0 and "300 products" in out
    small = ("--demo", "--feed", "cat", "--set", "feed.demo=null")
    code, out, _ = run(capsys, "validate", *small)
    assert code == 0 and out.endswith("ok\n")
    code, out, _ = run(capsys, "rules", "report", *small, "--json")
    report = json.loads(out)
    assert code == 0
    assert 0.4 < report["totals"]["coverage"] < 0.9
    assert report["totals"]["rules"] == len(report["rules"])
    code, out, _ = run(capsys, "rules", "report", *small)
    assert code == 0 and f"coverage {report['totals']['coverage']:.1%}" in out
    code, out, _ = run(capsys, "rules", "suggest", *small, "--output", "r.yaml")
    assert code == 0 and Path("r.yaml").is_file()
    code, out, _ = run(capsys, "validate", *small, "--set", f"rules.file={tmp_path / 'r.yaml'}")
    assert code == 0
    code, _, err = run(capsys, "rules", "suggest", *small, "--output", "r.yaml")
    assert code == 2 and "r.yaml" in err


def test_a_pipe_that_closes_early_is_no_error(workflow: Path) -> None:
    command = f"{sys.executable} -m shelfmark rules suggest --taxonomy {workflow.parent / 't.yaml'} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=REPOSITORY, timeout=60
    )
    assert done.returncode == 0 and done.stderr == "" and done.stdout


def test_rules_that_labels_contradict_are_not_suggested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is called a boot here is sold as sandals; the rule for hats is right two times of three."""
    titles = {"Shoes > Boots": ["wader"] * 8, "Shoes > Sandals": ["boot"] * 8 + ["sandal"] * 4}
    titles |= {"Hats > Caps": ["cap"] * 6, "Hats > Berets": ["cap"] * 3 + ["beret"] * 5}
    rows = [(title, category) for category, named in titles.items() for title in named]
    lines = [f"p{i},{title} number {i},{category}" for i, (title, category) in enumerate(rows)]
    (tmp_path / "shop.csv").write_text("sku,name,category\n" + "\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "init", "shop.csv")[0] == 0
    written = Path("shop/shop.rules.yaml").read_text()
    assert "Shoes > Boots" not in written and "1 left out" in written
    assert "Hats > Caps" in written and "Shoes > Sandals" in written
    code, out, _ = run(capsys, "rules", "suggest", "shop/shop.yaml", "--output", "r.yaml")
    # Right for 4 sandals, 6 caps, 5 berets; wrong for 3 berets that are called caps.
    assert code == 0 and "right for 83% of the 18 labels" in out and "1 left out" in out
    code, out, _ = run(capsys, "rules", "suggest", "--taxonomy", "shop/shop.taxonomy.yaml", "--output", "t.yaml")
    assert code == 0 and "no label says how good they are" in out and "Shoes > Boots" in Path("t.yaml").read_text()
