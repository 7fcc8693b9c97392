"""What a file of one endless line costs: a sentence, and no memory of the line's size."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_outside_files import write

pytestmark = pytest.mark.slow

LINE = 200 << 20
CODE = """if True:
    import sys
    from shelfmark import cli
    try:
        cli.main(sys.argv[1:])
    except SystemExit as left:
        code = left.code
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    print(f"peak {peak} {code or 0}")
"""


def peak_of(*arguments: object) -> tuple[float, int, str]:
    """Peak memory of a command in MiB, its exit code and its stderr."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    _, peak, code = done.stdout.splitlines()[-1].split()
    return int(peak) / 1024, int(code), done.stderr


def endless(file: Path, head: bytes, tail: bytes = b"\n") -> None:
    """Writes a line of 200 MiB, gzipped if the name says so."""
    with gzip.open(file, "wb", compresslevel=1) if file.suffix == ".gz" else file.open("wb") as stream:
        stream.write(head)
        for _ in range(LINE >> 20):
            stream.write(b"x" * (1 << 20))
        stream.write(tail)


@pytest.mark.parametrize(
    ("name", "key", "head"),
    [
        ("big.jsonl", "feed.files", b'{"id": "1", "title": "'),
        ("big.jsonl.gz", "feed.files", b'{"id": "1", "title": "'),
        ("big.csv", "feed.files", b"id,title,raw_category,"),
        ("big-labels.jsonl", "labels.files", b'{"product_id": "'),
        ("big-labels.jsonl.gz", "labels.files", b'{"product_id": "'),
        ("big.taxonomy.yaml", "taxonomy.file", b"- path: "),
        ("big.taxonomy.csv", "taxonomy.file", b"path\n"),
        ("big.rules.json", "rules.file", b'{"rules": ["'),
        ("big-shop.yaml", "", b"name: "),
    ],
)
def test_validate_needs_little_memory_for_a_line_of_200_mib(tmp_path: Path, name: str, key: str, head: bytes) -> None:
    workflow = write(tmp_path)
    usual, code, _ = peak_of("validate", workflow)
    assert code == 0
    endless(tmp_path / name, head)
    value = f"[{name}]" if key.endswith("files") else name
    wanted = (workflow, "--set", f"{key}={value}") if key else (tmp_path / name,)
    peak, code, said = peak_of("validate", *wanted)
    print(f"{name}: {peak:.0f} MiB, {peak - usual:.0f} more than a small one")
    assert code == 2 and name in said, said
    assert peak - usual < 100


def test_a_record_of_200_mib_is_one_for_the_quarantine(tmp_path: Path) -> None:
    workflow = write(tmp_path)
    usual, _, _ = peak_of("validate", workflow)
    endless(tmp_path / "big.csv", b'id,title,raw_category\n1,"', b'",Shoes\n2,boots,Shoes\n')
    peak, code, said = peak_of("validate", workflow, "--set", "feed.files=[big.csv]")
    assert code == 0, said
    assert peak - usual < 100
