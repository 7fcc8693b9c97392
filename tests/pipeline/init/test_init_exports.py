"""The exports of shop systems and networks: `init` knows their columns, and the run reads what it chose."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.init import detect, write_workflow
from pipeline.products import read_products
from pipeline.validate import check
from pipeline.workflow_file import load_workflow

CATEGORIES = ("Shoes > Boots", "Shoes > Sandals", "Hats > Caps", "Hats > Gloves")
TEXT = "A long text about this product, with very many words in it. " * 3


def image(number: int) -> str:
    return f"https://img.example/{number}.jpg"


def ean(number: int) -> str:
    """With the check digit that GS1 wants."""
    body = f"40000000{number:04}"
    return body + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body)) % 10)


def awin(i: int) -> dict[str, str]:
    return {
        "aw_deep_link": f"https://www.awin.example/p?p={i}", "product_name": f"red item number {i}",
        "aw_product_id": f"3000{i:02}", "merchant_product_id": f"M{i}", "merchant_image_url": image(i),
        "description": f"{i} {TEXT}", "merchant_category": CATEGORIES[i % 4], "search_price": f"{i}.99",
        "merchant_name": "Shop", "category_name": "Clothing", "aw_image_url": f"https://thumbs.example/?url={i}",
        "currency": "GBP", "brand_name": "Acme", "colour": "red", "in_stock": "1", "ean": ean(i),
        "parent_product_id": f"P{i // 3}",
    }  # fmt: skip


def woocommerce(i: int) -> dict[str, str]:
    return {
        "ID": str(100 + i), "Type": "simple", "SKU": f"S{i}", "Name": f"red item number {i}", "Published": "1",
        "Short description": f"Short {i}", "Description": f"<p>{i} {TEXT}</p>", "In stock?": "1", "Sale price": "",
        "Regular price": f"{i}.50", "Categories": CATEGORIES[i % 4], "Images": f"{image(i)}, {image(1000 + i)}",
        "Brands": "Acme", "Parent": f"S{i // 4}" if i % 4 else "", "GTIN, UPC, EAN, or ISBN": ean(i) if i % 3 else "",
    }  # fmt: skip


def magento(i: int) -> dict[str, str]:
    category = CATEGORIES[i % 4].replace(" > ", "/")
    return {
        "sku": f"S{i}", "attribute_set_code": "Default", "product_type": "simple",
        "categories": f"Default Category/{category}", "name": f"red item number {i}",
        "description": f"<p>{i} {TEXT}</p>", "short_description": f"Short {i}", "price": f"{i}.990000",
        "special_price": "", "url_key": f"red-{i}",
        "base_image": f"/m/b/{i}.jpg", "additional_images": f"/m/b/{i}.jpg,/m/b/{i}_1.jpg", "qty": "10",
        "is_in_stock": "1", "manufacturer": "Acme",
    }  # fmt: skip


def shopify(i: int) -> dict[str, str]:
    return {
        "Handle": f"red-{i}", "Title": f"red item number {i}", "Body (HTML)": f"<p>{i} {TEXT}</p>", "Vendor": "Acme",
        "Product Category": f"Apparel > {CATEGORIES[i % 4]}", "Type": "", "Tags": "a, b", "Option1 Value": "Default",
        "Variant SKU": f"S{i}", "Variant Price": f"{i}.00", "Image Src": image(i), "Image Position": "1",
        "Status": "active", "Variant Barcode": f"'{ean(i)}",
    }  # fmt: skip


def google(i: int) -> dict[str, str]:
    return {
        "id": f"S{i}", "title": f"red item number {i}", "description": f"{i} {TEXT}",
        "link": f"https://shop.example/{i}",
        "image link": image(i), "additional image link": f"{image(1000 + i)},{image(2000 + i)}",
        "availability": "in stock", "price": f"{i}.99 EUR", "google product category": "187",
        "product type": CATEGORIES[i % 4], "brand": "Acme", "gtin": ean(i), "item group id": f"g{i // 2}",
    }  # fmt: skip


EXPORTS: dict[str, tuple[Callable[[int], dict[str, str]], str, dict[str, str | None]]] = {
    "awin.csv": (awin, ",", {
        "id": "aw_product_id", "title": "product_name", "price": "search_price", "image": "merchant_image_url",
        "brand": "brand_name", "truth": "merchant_category", "url": "aw_deep_link",
        "gtin": "ean", "item_group_id": "parent_product_id",
    }),
    "woocommerce.csv": (woocommerce, ",", {
        "id": "ID", "title": "Name", "description": "Description", "price": "Regular price", "image": "Images",
        "brand": "Brands", "truth": "Categories", "gtin": "GTIN, UPC, EAN, or ISBN", "item_group_id": "Parent",
    }),
    "magento.csv": (magento, ",", {
        "id": "sku", "title": "name", "price": "price", "image": "base_image", "truth": "categories",
        "description": "description", "gtin": None, "item_group_id": None,
    }),
    "shopify.csv": (shopify, ",", {
        "id": "Variant SKU", "title": "Title", "price": "Variant Price", "image": "Image Src", "brand": "Vendor",
        "truth": "Product Category", "gtin": "Variant Barcode", "item_group_id": "Handle",
    }),
    "google.txt": (google, "\t", {
        "id": "id", "title": "title", "image": "image link", "truth": "product type", "url": "link", "price": "price",
        "gtin": "gtin", "item_group_id": "item group id",
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_the_columns_of_an_export_are_known(tmp_path: Path, name: str) -> None:
    make, delimiter, expected = EXPORTS[name]
    rows = [make(i) for i in range(60)]
    with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    loaded = load_workflow(write_workflow(detect([tmp_path / name]), tmp_path / "out", "mine")[0])
    fields: Any = loaded.workflow.feed.fields
    assert {field: getattr(fields, field) for field in expected} == expected
    # How a product is sold is no category.
    assert fields.raw_category not in ("Type", "product_type")
    assert not check(loaded).problems
    products = list(read_products(loaded))
    assert [product.text["title"] for product in products] == [f"red item number {i}" for i in range(60)]
    assert "," not in products[7].text["image"] and products[7].truth[-2:] == ("Hats", "Gloves")
