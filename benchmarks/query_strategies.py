"""Query strategies beside small-text, scikit-activeml and modAL.

``python -m benchmarks.query_strategies PEERS_PYTHON [SIZE ...] [STRATEGY ...]``: PEERS_PYTHON is a Python with
``benchmarks/peers/requirements.txt`` installed; without sizes or strategies all are run. Each pick runs in a process of
its own on the same files; a peer that takes more than ten minutes, or more memory than there is, is not tried at larger
sizes, nor one that took so long at the last size that its time, growing with the number of products, would exceed ten
minutes. Writes ``results/query_strategies.md``; a run of some sizes or strategies replaces their rows alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
WIDTH, CLASSES, LABELLED, BATCH = 128, 128, 500, 100
LIMIT = 600.0
PEERS = {
    "margin": ("small_text", "scikit_activeml", "modal"),
    "entropy": ("small_text", "scikit_activeml", "modal"),
    "least_confidence": ("small_text", "scikit_activeml", "modal"),
    "k_center": ("small_text", "scikit_activeml"),
    "badge": ("scikit_activeml",),
}
BADGE_CLASSES = 16
"""BADGE's gradients are classes x width numbers each for a peer that writes them down."""


def data(folder: Path, size: int, classes: int) -> None:
    """Clustered unit embeddings and the probabilities of a linear model over them, float32."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(classes, WIDTH)).astype(np.float32)
    probabilities = np.lib.format.open_memmap(folder / "probabilities.npy", "w+", np.float32, (size, classes))
    embeddings = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", np.float32, (size, WIDTH))
    for start in range(0, size, 50_000):
        rows = slice(start, min(start + 50_000, size))
        n = rows.stop - start
        x = centres[rng.integers(0, classes, n)] + 1.5 * rng.normal(size=(n, WIDTH)).astype(np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        z = 0.6 * x @ centres.T
        p = np.exp(z - z.max(axis=1, keepdims=True))
        embeddings[rows], probabilities[rows] = x, p / p.sum(axis=1, keepdims=True)
    np.save(folder / "labelled.npy", np.sort(rng.choice(size, LABELLED, replace=False)))


def pick_ours(task: str, folder: str, n: int) -> None:
    """The child process of our own strategies; prints what ``peers/pick.py`` prints."""
    from modules.query_strategies import STRATEGIES, Pool

    p, x, labelled = (np.load(Path(folder) / f"{name}.npy") for name in ("probabilities", "embeddings", "labelled"))
    labels = np.full(len(p), -1)
    labels[labelled] = 0
    pool = Pool(labels < 0, labels, p.shape[1], p, embeddings=x)
    chosen = STRATEGIES[task].model_validate({"candidates": len(p)} if task == "badge" else {})
    rng = np.random.default_rng(1)
    started = time.perf_counter()
    found = chosen.query(pool, n, rng)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": found.rows.tolist()}))


def radius(folder: Path, rows: list[int]) -> float:
    """Covering radius: the farthest product's distance to the nearest labelled or picked one."""
    x, labelled = np.load(folder / "embeddings.npy", mmap_mode="r"), np.load(folder / "labelled.npy")
    centers = np.asarray(x[np.concatenate([labelled, rows])])
    nearest = min(
        float((np.asarray(x[i : i + 20_000]) @ centers.T).max(axis=1).min()) for i in range(0, len(x), 20_000)
    )
    return float(np.sqrt(2 - 2 * nearest))


def log_determinant(folder: Path, rows: list[int]) -> float:
    """Of the Gram matrix of the picks' gradients: how much volume they span (Ash et al. 2020)."""
    p, x = (
        np.load(folder / f"{n}.npy", mmap_mode="r")[rows].astype(np.float64) for n in ("probabilities", "embeddings")
    )
    p[np.arange(len(p)), p.argmax(axis=1)] -= 1.0
    return float(np.linalg.slogdet((p @ p.T) * (x @ x.T) + 1e-9 * np.eye(len(p)))[1])


def run(command: list[str]) -> dict | str:
    """What a child printed, or why there is nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "over 10 minutes"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return "out of memory" if done.returncode < 0 or "Memory" in last else last[:80]
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(peers_python: str, sizes: list[int], wanted: list[str]) -> None:
    """Runs everything and writes the table."""
    head = [
        f"Batches of {BATCH} from products with {WIDTH}-dimensional embeddings ({LABELLED} labelled) and {CLASSES} "
        f"classes ({BADGE_CLASSES} for BADGE, whose candidates are all products here).",
        "",
        "| strategy | products | seconds | peer: seconds (times ours) | objective: ours, peers' |",
        "| --- | --- | --- | --- | --- |",
    ]
    file = RESULTS / "query_strategies.md"
    before = file.read_text().splitlines() if file.exists() else []
    rows = {key: line for line in before if (key := _key(line)) is not None}
    given_up: dict[tuple[str, str], str] = {}
    took: dict[tuple[str, str], float] = {}
    for number, size in enumerate(sizes):
        growth = size / sizes[number - 1] if number else 1.0
        for which, seconds in took.items():
            if seconds * growth > LIMIT:
                given_up.setdefault(which, f"not tried, {seconds:.0f} s at {sizes[number - 1]:,}")
        for classes, tasks in ((CLASSES, [t for t in PEERS if t != "badge"]), (BADGE_CLASSES, ["badge"])):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                data(folder, size, classes)
                for task in (t for t in tasks if t in wanted):
                    line = row(peers_python, task, size, folder, given_up, took)
                    print(line, flush=True)
                    rows[size, task] = line
    text = "\n".join([*head, *(rows[key] for key in sorted(rows, key=lambda k: (k[0], list(PEERS).index(k[1]))))])
    file.write_text(f"# Query strategies beside peers\n\n{text}\n")


def _key(line: str) -> tuple[int, str] | None:
    """Size and strategy of a row of the table."""
    cells = [cell.strip() for cell in line.split("|")[1:3]]
    return (int(cells[1].replace(",", "")), cells[0]) if len(cells) == 2 and cells[0] in PEERS else None


def row(peers_python: str, task: str, size: int, folder: Path, given_up: dict[tuple[str, str], str], took: dict) -> str:
    """One line of the table; each is run twice and the faster time taken.

    Notes the peers' seconds in ``took``, and in ``given_up`` why a peer is not tried at larger sizes.
    """
    ours = [run([sys.executable, "-m", "benchmarks.query_strategies", "ours", task, str(folder)]) for _ in range(2)]
    mine = min((one for one in ours if isinstance(one, dict)), key=lambda one: one["seconds"], default=None)
    if mine is None:
        return f"| {task} | {size:,} | {ours[0]} | | |"
    measure = {"k_center": radius, "badge": log_determinant}.get(task)
    told, values = [], [f"{measure(folder, mine['rows']):.3f}"] if measure else []
    for peer in PEERS[task]:
        if (task, peer) in given_up:
            told.append(f"{peer}: {given_up[task, peer]}")
            continue
        script = str(Path(__file__).parent / "peers" / "pick.py")
        found = run([peers_python, script, peer, task, str(folder), str(BATCH)])
        if isinstance(found, dict) and found["seconds"] < 60:
            again = run([peers_python, script, peer, task, str(folder), str(BATCH)])
            found = min(found, again, key=lambda one: one["seconds"]) if isinstance(again, dict) else found
        if isinstance(found, str):
            given_up[task, peer] = f"not tried, {found} at {size:,}"
            told.append(f"{peer}: {found}")
            continue
        took[task, peer] = found["seconds"]
        told.append(f"{peer}: {found['seconds']:.2f} ({found['seconds'] / mine['seconds']:.1f})")
        if measure:
            values.append(f"{measure(folder, found['rows']):.3f}")
        elif set(found["rows"]) != set(mine["rows"]):
            values.append(f"{len(set(found['rows']) & set(mine['rows']))} of {BATCH} the same")
    return f"| {task} | {size:,} | {mine['seconds']:.3f} | {'; '.join(told)} | {', '.join(values)} |"


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        pick_ours(sys.argv[2], sys.argv[3], BATCH)
    else:
        sizes = [int(one) for one in sys.argv[2:] if one.isdigit()]
        named = [one for one in sys.argv[2:] if not one.isdigit()]
        if unknown := set(named) - PEERS.keys():
            sys.exit(f"no such strategy: {', '.join(sorted(unknown))} (there are: {', '.join(PEERS)})")
        main(sys.argv[1], sizes or [10_000, 100_000, 1_000_000], named or list(PEERS))
