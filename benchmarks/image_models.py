"""Title, picture, and both: accuracy on fashion_product_images_small, and pictures embedded per second.

    python -m benchmarks.image_models FOLDER [eval] [pretrained]

Keeps the leaf categories with 10 or more products, and trains the shipped workflow three times: on the title alone, on
the picture alone (from scratch), and on both. Each is scored on the test products as they are, with the title cut to
its first two words, without the title, and without the picture. Products with the same normalised title are in one
split. With ``eval`` the eval split is scored, and does not train the model: for choosing settings. With
``pretrained`` the picture alone is scored, and the encoder efficientnet-lite0, which has to be on this machine, joins
the patches.

Then: JPEG files decoded and embedded per second through the SavedModel, beside the bare Keras tower on decoded pixels.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.workflow_file import REPOSITORY

NAME = "fashion_product_images_small"
LEAST = 10
"""Products that a category has to have."""
PICTURES = 768
"""That are embedded for the speed."""
VARIANTS = {"title": ("title",), "picture": ("picture",), "title and picture": ("title", "picture")}
PRETRAINED = {
    "size": [160, 120],
    "weights": "efficientnet-lite0",
    # Of a picture with twice the height and width the same patches as the shipped workflow has, without copies.
    "patches": {"scales": [[6, 4], [10, 4], [14, 4]], "stride": 4, "ridge": 0.01},
}
"""What the picture's feature has in place of the shipped workflow's settings."""
Change = Callable[[dict[str, bytes]], dict[str, bytes]]
PRODUCTS: dict[str, Change] = {
    "as they are": lambda product: product,
    "title cut to two words": lambda p: {**p, "title": b" ".join(p["title"].split()[:2])} if "title" in p else p,
    "without title": lambda product: {**product, "title": b""},
    "without picture": lambda product: {**product, "image_bytes": b""},
}


def feed_of(folder: Path, target: Path) -> int:
    """Writes the products of the larger categories and their pictures; returns their number."""
    with gzip.open(folder / "products.jsonl.gz", "rt", encoding="utf-8") as lines:
        products = [json.loads(line) for line in lines]
    counts = Counter(tuple(product["category_path"]) for product in products)
    kept = [product for product in products if counts[tuple(product["category_path"])] >= LEAST]
    with gzip.open(target / "products.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(product) + "\n" for product in kept)
    shutil.copytree(folder / "images", target / "images")
    return len(kept)


def workflow(pretrained: bool) -> dict[str, Any]:
    """The shipped workflow, with or without a pretrained encoder."""
    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "workflows" / f"{NAME}.yaml").read_text())
    if pretrained:
        settings["features"]["picture"] |= PRETRAINED
    return settings


def train(features: tuple[str, ...], feed: Path, runs: Path, split: str, pretrained: bool) -> tuple[Path, float]:
    """Runs the workflow with some of its features up to Trainer; returns the SavedModel's folder and seconds."""
    settings = workflow(pretrained)
    settings["name"] = f"fashion-{'-'.join(features)}"
    settings["features"] = {name: settings["features"][name] for name in features}
    settings["runners"] = {"local": {"folder": str(runs)}}
    settings["training"]["refit_on_eval"] = False
    if split == "test":
        # All of train and eval but a few products at once, in place of a second fit.
        settings["feed"]["split"]["eval_share"] = 0.005
    path = runs / f"{settings['name']}.yaml"
    path.write_text(yaml.safe_dump(settings))
    started = time.monotonic()
    command = [sys.executable, "-m", "shelfmark", "run", str(path), "--feed", str(feed), "--to", "Trainer"]
    subprocess.run(command, check=True)
    seconds = time.monotonic() - started
    models = runs / settings["name"] / "pipeline" / "Trainer" / "model"
    return max(models.iterdir(), key=lambda one: int(one.name)) / "Format-Serving", seconds


def products_of(runs: Path, split: str) -> tuple[list[dict[str, bytes]], np.ndarray]:
    """Text and picture of the split's products, and their labels."""
    import tensorflow as tf

    folder = next(runs.glob("*/pipeline/ProductExampleGen/examples/*")) / f"Split-{split}"
    products, labels = [], []
    for record in tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.gz"))), compression_type="GZIP"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        values = {name: feature[name].bytes_list.value for name in ("title", "image_bytes") if name in feature}
        products.append({name: value[0] for name, value in values.items() if value})
        labels.append(feature["label/exclusive"].int64_list.value[0])
    return products, np.array(labels)


def serialised(product: dict[str, bytes]) -> bytes:
    """A product as a raw example."""
    import tensorflow as tf

    feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for k, v in product.items() if v}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def predicted(model: Path, products: list[dict[str, bytes]]) -> np.ndarray:
    """The best class of each product."""
    import tensorflow as tf

    call = tf.saved_model.load(str(model)).signatures["serving_default"]
    examples = [serialised(product) for product in products]
    found = [call(examples=tf.constant(examples[at : at + 256])) for at in range(0, len(examples), 256)]
    return np.concatenate([one["exclusive/classes"].numpy()[:, 0] for one in found])


def speed(model: Path, products: list[dict[str, bytes]], pretrained: bool, rounds: int = 3) -> dict[str, float]:
    """Pictures per second, the best of some rounds: from JPEG to embedding in the graph; the bare tower on pixels."""
    import tensorflow as tf

    from modules.features.image import ImageFeature
    from modules.vision.decoding import decode_pictures
    from modules.vision.networks import image_tower

    feature = ImageFeature.model_validate(workflow(pretrained)["features"]["picture"])
    feature = feature.with_weights(feature.find_weights(Path))
    pictures = [product["image_bytes"] for product in products if product.get("image_bytes")][:PICTURES]
    batches = [tf.constant(pictures[at : at + 256]) for at in range(0, len(pictures) - 255, 256)]
    examples = [tf.constant([serialised({"image_bytes": p}) for p in batch.numpy()]) for batch in batches]
    pixels = [decode_pictures(batch, *feature.size)[0] for batch in batches]
    bare = image_tower("picture", feature, 1)
    small = image_tower("picture", feature.model_copy(update={"backbone": "small_cnn", "weights": "none"}), 1)
    loaded = tf.saved_model.load(str(model))
    serve = loaded.signatures["table"]
    embed = tf.function(lambda images: bare(tf.cast(images, tf.float32), training=False))
    embed_small = tf.function(lambda images: small(tf.cast(images, tf.float32), training=False))
    decode = tf.function(lambda files: decode_pictures(files, *feature.size)[0])

    def best(call: Callable, data: list) -> float:
        call(data[0])
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            for batch in data:
                call(batch)
            seconds.append(time.perf_counter() - started)
        return 256 * len(data) / min(seconds)

    return {
        "SavedModel: JPEG to embedding and categories": best(lambda batch: serve(examples=batch), examples),
        "bare Keras tower, pixels to embedding": best(embed, pixels),
        "bare Keras tower of small_cnn, pixels to embedding": best(embed_small, pixels),
        "decoding alone": best(decode, batches),
    }


def main(arguments: list[str]) -> None:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as runs set it
    folder, split = Path(arguments[0]), "eval" if "eval" in arguments[1:] else "test"
    pretrained = "pretrained" in arguments[1:]
    variants = {"picture": VARIANTS["picture"]} if pretrained else VARIANTS
    changes = {"as they are": PRODUCTS["as they are"]} if pretrained else PRODUCTS
    lines = [f"| {split} products | {' | '.join(variants)} |", f"| --- |{' --- |' * len(variants)}"]
    with tempfile.TemporaryDirectory() as temporary:
        feed, runs = Path(temporary) / "feed", Path(temporary) / "runs"
        feed.mkdir()
        runs.mkdir()
        print(feed_of(folder, feed), "products", flush=True)
        models = {name: train(features, feed, runs, split, pretrained) for name, features in variants.items()}
        products, labels = products_of(runs, split)
        for name, change in changes.items():
            cells = []
            for variant, features in variants.items():
                about = None if name == "as they are" else "picture" if name == "without picture" else "title"
                if about in features and name.startswith("without") and len(features) == 1:
                    cells.append("")
                elif about is not None and about not in features:
                    cells.append("as above")
                else:
                    right = predicted(models[variant][0], [change(product) for product in products]) == labels
                    cells.append(f"{right[labels >= 0].mean():.4f}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append(f"| seconds of the run | {' | '.join(f'{seconds:.0f}' for _, seconds in models.values())} |")
        rates = speed(models["picture"][0], products, pretrained)
    lines += ["", "| pictures per second | |", "| --- | --- |", *(f"| {k} | {v:,.0f} |" for k, v in rates.items())]
    print("\n".join(lines))
    results = REPOSITORY / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    suffix = f"{'_pretrained' if pretrained else ''}{'_eval' if split == 'eval' else ''}"
    (results / f"image_models{suffix}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
