"""Reads a demo catalogue and evaluates its rules the slow, obvious way, with nothing of the code under test."""

from __future__ import annotations

import csv
import gzip
import html
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml
from pyarrow import parquet


def open_text(path: Path) -> list[str]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", "surrogateescape").split("\n")[:-1]


def undecodable(record: dict[str, str | None]) -> bool:
    return any(re.search("[\udc80-\udcff]", value or "") for value in record.values())


def read_feed(path: Path) -> tuple[list[dict[str, str]], int]:
    """The good records of one feed file (missing values left out) and the number of unusable ones.

    Of records with the same id the first is good.
    """
    records: list[Any] = []
    bad = 0
    if path.suffix == ".parquet":
        records = parquet.read_table(path).to_pylist()
    elif ".csv" in path.suffixes:
        records = list(csv.DictReader(open_text(path)))
    else:
        for line in open_text(path):
            try:
                records.append(json.loads(line))
            except ValueError:
                bad += 1
    good, seen = [], set()
    for record in records:
        texts = isinstance(record, dict) and all(isinstance(value, str | None) for value in record.values())
        if not texts or not record.get("id") or record["id"] in seen or undecodable(record):
            bad += 1
            continue
        seen.add(record["id"])
        good.append({key: value for key, value in record.items() if value})
    return good, bad


def read_feeds(output: Path) -> tuple[dict[str, dict[str, str]], int]:
    """Good records by id over all feeds, and the number of unusable ones."""
    result: dict[str, dict[str, str]] = {}
    total = 0
    for path in sorted((output / "feed").iterdir()):
        good, bad = read_feed(path)
        result |= {record["id"]: record for record in good}
        total += bad
    return result, total


def read_truth(output: Path) -> dict[str, str]:
    return {row["id"]: row["category"] for row in map(json.loads, open_text(output / "truth.jsonl.gz"))}


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", html.unescape(text)).casefold())


def holds(condition: dict[str, Any], record: dict[str, str]) -> bool:
    if "all" in condition:
        return all(holds(part, record) for part in condition["all"])
    if "any" in condition:
        return any(holds(part, record) for part in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], record)
    text = " ".join(html.unescape(record.get(condition["field"], "")).split())
    if "word" in condition or "phrase" in condition:
        wanted, found = tokens(condition.get("word") or condition["phrase"]), tokens(text)
        return any(found[k : k + len(wanted)] == wanted for k in range(len(found)))
    if "regex" in condition:
        return re.search(condition["regex"], text) is not None
    return text.casefold() == condition["equals"].casefold()


def fired(rules: list[dict[str, Any]], record: dict[str, str]) -> list[dict[str, Any]]:
    return [rule for rule in rules if holds(rule["when"], record)]


def read_rules(output: Path) -> list[dict[str, Any]]:
    return yaml.safe_load((output / "rules.yaml").read_text(encoding="utf-8"))["rules"]


def is_right(category: str, truth: str) -> bool:
    """A rule is right where its category is the true one or above it."""
    return (truth + " > ").startswith(category + " > ")
