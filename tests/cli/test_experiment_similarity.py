"""``shelfmark experiment similarity`` on files: labels of a feed, npy embeddings, verdicts, triplets to judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modules.similarity_quality.triplets import Triplet, line_of, read_questions
from tests.cli.program import run

COUNT = 40


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Products of four leaves and twenty clusters; the last ones are photos. Two embeddings of them, one of noise."""
    records = [
        {"id": f"p{i}", "title": f"thing {i}", "category": ["Top", f"Leaf {i // 10}"], "extra": {"same": i // 2}}
        for i in range(COUNT)
    ]
    records += [{"id": f"photo{i}", "extra": {"of": f"p{i}"}} for i in range(10)]
    (tmp_path / "feed.jsonl").write_text("\n".join(map(json.dumps, records)) + "\nbroken\n[]\n")
    leaves = "".join(f"  - {{path: [Top, Leaf {i}], exclusive: true}}\n" for i in range(4))
    (tmp_path / "t.yaml").write_text(f"categories:\n  - {{path: [Top]}}\n{leaves}")
    feed = "feed: {files: [feed.jsonl], fields: {truth: category}}"
    (tmp_path / "w.yaml").write_text(f"name: shop\n{feed}\ntaxonomy: {{file: t.yaml}}\n")
    rng = np.random.default_rng(0)
    x = np.eye(4)[np.arange(COUNT) // 10] + 0.5 * rng.normal(size=(20, 4))[np.arange(COUNT) // 2]
    x += 0.1 * rng.normal(size=x.shape)
    x = np.concatenate([x, x[:10] + 0.01])
    for name, vectors in (("good", x), ("noise", rng.normal(size=x.shape))):
        np.save(tmp_path / f"{name}.npy", vectors.astype(np.float32))
        (tmp_path / f"{name}.txt").write_text("\n".join(record["id"] for record in records))
    return tmp_path


def test_compares_files(shop: Path, capsys: pytest.CaptureFixture[str]):
    verdicts = [Triplet(f"p{i}", f"p{i + 1}", f"p{(i + 7) % COUNT}", "a", "ann", i) for i in range(0, 38, 4)]
    (shop / "v.jsonl").write_bytes(b"".join(map(line_of, verdicts)))
    arguments = ["--embedding", shop / "good.npy", "--embedding", f"by chance={shop / 'noise.npy'}"]
    arguments += ["--cluster", "extra.same", "--link", "extra.of", "--triplets", shop / "v.jsonl"]
    arguments += ["--sample", shop / "q.jsonl", "--count", 25, "-o", shop / "out"]
    code, out, err = run(capsys, "experiment", "similarity", shop / "w.yaml", *arguments)
    assert (code, err) == (0, "")
    document = json.loads((shop / "out" / "similarity.json").read_text())
    assert document["products"] == COUNT + 10
    found = {one["name"]: one for one in document["proxies"]}
    assert set(found) == {"same leaf", "same cluster", "photo to product"}
    assert found["photo to product"]["figures"]["good"]["recall at 1"]["value"] == 1.0
    assert found["same leaf"]["products"] == COUNT
    cluster = found["same cluster"]["figures"]
    assert cluster["good"]["MAP"]["value"] > cluster["by chance"]["MAP"]["value"]
    assert document["triplets"]["good"]["triplets"] == len(verdicts)
    assert "by chance" in (shop / "out" / "similarity.html").read_text() and "R-precision" in out
    assert len(read_questions(shop / "q.jsonl")) == 25


@pytest.mark.parametrize(("arguments", "said"), [
    (["--embedding", "none.npy"], "there is no such file"),
    (["--embedding", "good.npy", "--cluster", "extra.nothing"], "a column of the feed that has values"),
    (["--triplets", "none.jsonl"], "cannot be read"),
    (["--embedding", "good.npy", "--embedding", "good=good.npy"], "names that differ"),
    ([], "run the workflow first"),
])  # fmt: skip
def test_bad_arguments_are_said(shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch, arguments, said):
    monkeypatch.chdir(shop)
    folder = f"runners.local.folder={shop / 'runs'}"
    code, _out, err = run(capsys, "experiment", "similarity", "w.yaml", *arguments, "--set", folder, "-o", "out")
    assert code == 2 and said in err and "Traceback" not in err
    assert not (shop / "out").exists()
