"""All products of a run in the store: texts, pictures, rules; what was there of a product stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from labelling.store import Store, importing
from labelling.store import tables as t
from labelling.web.images import Images
from shelfmark.cli.label.gather import bring
from tests.api.models import picture
from tests.labelling import shop


def write_examples(folder: Path, products: dict[str, dict[str, str]]) -> None:
    """Examples of two splits, as ProductExampleGen writes them."""
    import tensorflow as tf

    def text(*values: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    for split, some in (("train", list(products)[::2]), ("test", list(products)[1::2])):
        path = folder / f"Split-{split}" / "examples.gz"
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for name in some:
                features = {"id": text(name), "rules": text("boots-1")}
                features |= {key: text(value) for key, value in products[name].items()}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def test_all_products_come_in_steps_and_keep_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring, "_STEP", 7)
    feed = tmp_path / "feed"
    feed.mkdir()
    (feed / "p3.png").write_bytes(picture((10, 200, 30)))
    products = {f"p{i}": {"title": f"Boots no. {i}", "retailer": "acme"} for i in range(20)}
    products["p3"]["image"] = "p3.png"
    products["p4"]["image"] = "../secret.png"
    products["p5"]["image"] = "https://images.example.com/5.jpg"
    (tmp_path / "secret.png").write_bytes(picture((0, 0, 0)))
    write_examples(tmp_path / "examples", products)
    run: Any = SimpleNamespace(id="run-1", folder=lambda name: tmp_path / name)
    loaded: Any = SimpleNamespace(folder=feed)
    with Store(str(tmp_path / "labels.sqlite")) as store:
        with store.write() as connection:
            importing.products(connection, [shop.product("p1"), shop.product("other")], "run-1", shop.NOW)
        assert bring.bring_products(store, loaded, run) == 20
        with store.read() as connection:
            rows = {row.id: row for row in connection.execute(select(t.products))}
            predicted = list(
                connection.scalars(select(t.predictions.c.product_id).order_by(t.predictions.c.product_id))
            )
        assert set(rows) == {*products, "other"} and predicted == ["other", "p1"]
        assert rows["p1"].fields == {"title": "Boots no. 1", "retailer": "acme"} and rows["p1"].rules == ["boots-1"]
        assert {row.split for name, row in rows.items() if name != "other"} == {"train", "test"}
        assert (rows["p3"].image, rows["p3"].image_folder) == ("p3.png", str(feed))
        assert (rows["p5"].image, rows["p5"].image_folder) == ("https://images.example.com/5.jpg", None)
        images = Images(store)
        assert images.get("p3") is not None and images.get("p4") is None and images.get("p5") is None
        # Again: nothing changes.
        assert bring.bring_products(store, loaded, run) == 20
        with store.read() as connection:
            assert {row.id: row.fields for row in connection.execute(select(t.products))} == {
                name: row.fields for name, row in rows.items()
            }
