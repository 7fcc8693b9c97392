"""Writing a taxonomy so that it reads back as the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modules.taxonomy.category import Category, default_id, split_path
from modules.taxonomy.knowledge import synonyms_text


def write_categories(categories: Iterable[Category], path: str | Path) -> None:
    """Writes a file that :func:`modules.taxonomy.reading.read_categories` reads back; the suffix says the format."""
    path = Path(path)
    rows = [_row(category) for category in categories]
    suffix = path.suffix.lower()
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".json":
            json.dump({"categories": rows}, file, ensure_ascii=False, indent=1)
            file.write("\n")
        elif suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        elif suffix == ".csv":
            writer = csv.writer(file, lineterminator="\n")
            more = [key for key in ("description", "synonyms") if any(key in row for row in rows)]
            writer.writerow(("path", "id", "name", "exclusive", *more))
            for row in rows:
                names = row["path"]
                text = names if isinstance(names, str) else json.dumps(names, ensure_ascii=False)
                known = {"description": row.get("description"), "synonyms": synonyms_text(row.get("synonyms", ()))}
                exclusive = "true" if "exclusive" in row else ""
                writer.writerow((text, row.get("id"), row.get("name"), exclusive, *(known[key] for key in more)))
        else:
            import yaml

            dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
            yaml.dump({"categories": rows}, file, dumper, allow_unicode=True, sort_keys=False, width=10_000)


def _row(category: Category) -> dict[str, Any]:
    """What differs from the defaults; the path as a list only where its text would be read differently."""
    text = category.text
    as_text = split_path(text) == category.path and not text.startswith("[")
    row: dict[str, Any] = {"path": text if as_text else list(category.path)}
    if category.id != default_id(category.path):
        row["id"] = category.id
    if category.name != category.path[-1]:
        row["name"] = category.name
    if category.exclusive:
        row["exclusive"] = True
    if category.description:
        row["description"] = category.description
    if category.synonyms:
        row["synonyms"] = list(category.synonyms)
    return row
