"""How many pictures the regression on patches needs: accuracy by the number of labelled pictures.

    python -m benchmarks.image_curve FOLDER

Takes the products of fashion_product_images_small that ``benchmarks.image_models`` trains and tunes with (leaf
categories of 10 or more products; its test products stay out), by picture alone, with the shipped workflow's settings
but no changed copies. Eight folds, products of one normalised title in one of them: what a fold's pictures are called
by the regression on a share of the other folds' pictures, drawn by titles. The patterns come from all train pictures,
without labels. Writes ``results/image_curve.md``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from benchmarks.image_models import NAME, feed_of, products_of
from modules.features.image import ImageFeature
from pipeline.workflow_file import REPOSITORY

FOLDS = 8
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the titles of the other folds."""


def pictures_of(folder: Path) -> Iterator[tuple[list[dict[str, bytes]], np.ndarray]]:
    """Products and labels of the splits that models may learn from: train, then eval."""
    with tempfile.TemporaryDirectory() as temporary:
        feed, runs = Path(temporary) / "feed", Path(temporary) / "runs"
        feed.mkdir()
        runs.mkdir()
        feed_of(folder, feed)
        settings = yaml.safe_load((REPOSITORY / "workflows" / f"{NAME}.yaml").read_text())
        settings["runners"] = {"local": {"folder": str(runs)}}
        path = runs / "workflow.yaml"
        path.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "shelfmark", "run", str(path), "--feed", str(feed), "--to"]
        subprocess.run([*command, "ProductExampleGen"], check=True)
        for split in ("train", "eval"):
            products, labels = products_of(runs, split)
            there = [i for i, one in enumerate(products) if labels[i] >= 0 and one.get("image_bytes")]
            yield [products[i] for i in there], labels[there]


def kernel_of(pixels: np.ndarray, train: int, feature: ImageFeature) -> np.ndarray:
    """Inner products of all pictures, summed over the scales; patterns of the first ``train`` ones."""
    from modules.vision.networks import image_tower
    from modules.vision.patch_fit import dictionary
    from modules.vision.patches import PatchHistogram
    from modules.vision.regression_fit import rows_of

    kernel = np.zeros((len(pixels), len(pixels)), np.float32)
    for layer in image_tower("picture", feature, 1).layers:
        if isinstance(layer, PatchHistogram):
            layer.set_weights(dictionary(pixels[:train], layer, np.random.default_rng(1)))
            found = rows_of(layer, pixels)[0].astype(np.float32)
            for at in range(0, found.shape[1], 4096):
                kernel += found[:, at : at + 4096] @ found[:, at : at + 4096].T
            print(layer.name, flush=True)
    return kernel


def curve(kernel: np.ndarray, labels: np.ndarray, titles: np.ndarray, ridge: float) -> dict[float, list[list[float]]]:
    """Per share the number of pictures learnt from, and the accuracy, of each fold."""
    from modules.vision.ridge import regression

    rng = np.random.default_rng(0)
    rank = rng.permutation(titles.max() + 1)[titles]
    fold, drawn = rank % FOLDS, rng.random(titles.max() + 1)[titles]
    targets = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    found: dict[float, list[list[float]]] = {share: [] for share in SHARES}
    for number in range(FOLDS):
        asked = np.flatnonzero(fold == number)
        for share in SHARES:
            known = np.flatnonzero((fold != number) & (drawn <= share))
            mean = targets[known].mean(axis=0)
            dual, _ = regression(kernel[np.ix_(known, known)], targets[known] - mean, ridge)
            scores = kernel[np.ix_(asked, known)] @ dual + mean
            found[share].append([len(known), float((scores.argmax(axis=1) == labels[asked]).mean())])
        print("fold", number, [round(values[-1][1], 4) for values in found.values()], flush=True)
    return found


def main(folder: Path) -> None:
    import tensorflow as tf

    from modules.vision.decoding import decode_pictures

    settings = yaml.safe_load((REPOSITORY / "workflows" / f"{NAME}.yaml").read_text())["features"]["picture"]
    feature = ImageFeature.model_validate(settings)
    splits = list(pictures_of(folder))
    products = [one for part, _ in splits for one in part]
    labels = np.concatenate([part for _, part in splits])
    names = [" ".join(one.get("title", b"").decode("utf-8", "replace").lower().split()) for one in products]
    titles = np.unique(names, return_inverse=True)[1]
    files = [one["image_bytes"] for one in products]
    blocks = [tf.constant(files[at : at + 256]) for at in range(0, len(files), 256)]
    pixels = np.concatenate([decode_pictures(block, *feature.size)[0].numpy() for block in blocks])
    kernel = kernel_of(pixels, len(splits[0][0]), feature)
    found = curve(kernel, labels, titles, feature.patches.ridge * len(feature.patches.scales))
    lines = ["| labelled pictures | accuracy | standard error over folds |", "| --- | --- | --- |"]
    for values in found.values():
        counts, accuracy = np.array(values).T
        error = accuracy.std(ddof=1) / np.sqrt(FOLDS)
        lines.append(f"| {counts.mean():,.0f} | {accuracy.mean():.3f} | {error:.3f} |")
    print("\n".join(lines))
    (REPOSITORY / "benchmarks" / "results" / "image_curve.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
