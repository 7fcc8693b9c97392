"""``shelfmark init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.errors import visible

if TYPE_CHECKING:
    from pipeline.init import Guess


def init(
    feeds: Annotated[list[Path], typer.Argument(metavar="FEED...", help="Feed files or folders: JSONL, CSV, Parquet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to; default: a folder with the name.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The workflow's name; default: from the feed's.")] = None,
    category: Annotated[
        str | None, typer.Option("--category", metavar="COLUMN", help="The column with the category to learn.")
    ] = None,
    separator: Annotated[
        str | None, typer.Option("--separator", metavar="TEXT", help="What stands between its names.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Fetch the images that it names, and learn from them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of an earlier init.")] = False,
) -> None:
    """Look at your own feed files and write a first workflow for them."""
    from modules.feeds.formats import format_by_suffix
    from pipeline.init import detect, write_workflow
    from pipeline.init.output import slug

    guess = detect(feeds, category, separator)
    first = feeds[0].resolve()
    stem = first.name.split(".")[0] if first.is_file() and format_by_suffix(str(first)) else first.stem
    name = slug(name or stem)
    files = write_workflow(guess, output if output is not None else Path(name), name, force, images)
    show(guess)
    for note in guess.notes:
        _say(f"note: {note}")
    _say("wrote " + ", ".join(str(path) for path in files))
    _say(f"next: shelfmark run {files[0]}")


def show(guess: Guess) -> None:
    """Prints what was guessed, with examples."""
    import shutil

    kinds = sorted(set(guess.files.kinds))
    count = len(guess.files.paths)
    files = f"{count:,} {'file' if count == 1 else 'files'} of {' and '.join(kinds)}"
    _say(f"{files}; {guess.products:,} products looked at")
    rows = [("field", "column", "sure", "examples")]
    rows += [(f.field, f.column, f"{f.confidence:.2f}", " | ".join(f.examples)) for f in guess.fields]
    if guess.vector:
        rows.append(("image_vector", guess.vector[0], "", f"vectors of {guess.vector[1]} numbers"))
    if guess.images and guess.images.usable:
        where = [", ".join(guess.images.hosts)] if guess.images.hosts else []
        where += [f"{guess.images.files:,} files"] if guess.images.files else []
        rows.append(("images at", "", "", "; ".join(where)))
    if guess.split:
        rows.append(("split", guess.split[0], "", ", ".join(f"{value}: {split}" for value, split in guess.split[1])))
    if guess.category:
        values = " | ".join(text for text, _ in guess.category.examples)
        rows.append(("truth", guess.category.column, f"{guess.category.confidence:.2f}", values))
    width = max(len(visible(row[1])) for row in rows)
    room = max(30, shutil.get_terminal_size((120, 24)).columns - width - 22)
    for field, column, sure, examples in rows:
        shown = "".join(c if c.isprintable() else " " for c in examples)
        if len(shown) > room:
            shown = shown[: room - 1] + "…"
        _say(f"{field:<13}  {visible(column):<{width}}  {sure:<4}  {shown}".rstrip())
    if guess.unused:
        _say(f"not used: {', '.join(guess.unused)}")
    if guess.category:
        _show_category(guess)


def _show_category(guess: Guess) -> None:
    category = guess.category
    assert category is not None
    if category.kind == "text":
        scores = ", ".join(f"{guess.separator!r} {guess.score:.2f}" for guess in category.separators[:4])
        between = f", {category.cells.paths_separator!r} between paths" if category.cells.paths_separator else ""
        decided = f"categories: separator {category.cells.separator!r}{between}"
        _say(decided + (f" (scores: {scores})" if scores else ""))
    else:
        _say("categories: " + ("lists of names" if category.kind == "list" else "single names, no separator"))
    for text, names in category.examples:
        _say(f"  {text[:70]!r} -> {' | '.join(names)}")
    exclusive = sum(node.exclusive for node in guess.nodes)
    size = f"{len(guess.nodes):,} categories of at least {guess.minimum} products"
    _say(f"taxonomy: {size}, {exclusive:,} of them exclusive")


def _say(text: str) -> None:
    """Prints a line; what a feed is written with may not steer the terminal."""
    typer.echo(visible(text))
