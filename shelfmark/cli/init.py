"""``shelfmark init``."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from modules.errors import InputError, Problem, visible
from shelfmark.cli.options import console

if TYPE_CHECKING:
    from pipeline.init import Guess


def init(
    feeds: Annotated[
        list[str],
        typer.Argument(
            metavar="FEED...",
            help="Feed files or folders (CSV, JSON, Parquet, Excel, Google Merchant's XML), or one http(s) address.",
        ),
    ],
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
    taxonomy: Annotated[
        Path | None,
        typer.Option(
            "--taxonomy", metavar="FILE", help="The categories, as YAML, JSON, CSV, Google's, Shopify's or GS1's file."
        ),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Fetch the images that it names, and learn from them.")
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="All files are one retailer's, whatever they are called.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="The address may be of a host that is not public.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of an earlier init.")] = False,
) -> None:
    """Look at your own feed files and write a first workflow for them."""
    from pipeline.init import detect, write_workflow
    from pipeline.init.address import take_address
    from pipeline.init.detect import WRITE_TREE
    from pipeline.init.images import feed_folder
    from pipeline.init.output import slug
    from pipeline.init.retailers import stem_of

    paths, source = [Path(feed) for feed in feeds], None
    if any(map(_is_address, feeds)):
        name = slug(name or _stem_of_address(feeds))
        source, file = take_address(feeds[0], name, allow_private, console())
        paths, together = [file], True
    guess = replace(detect(paths, category, separator, together), source=source)
    first = paths[0].resolve()
    if guess.feeds and len(paths) > 1:
        # No one file's name is that of all.
        first = feed_folder(paths).resolve()
    name = slug(name or (stem_of(first) if first.is_file() else first.stem))
    files = write_workflow(guess, output if output is not None else Path(name), name, force, images, taxonomy)
    show(guess)
    for note in guess.notes:
        _say(f"note: {note if taxonomy is None else note.replace(WRITE_TREE, 'label products')}")
    _say("wrote " + ", ".join(str(path) for path in files))
    _say_next(files[0], None if guess.nodes or taxonomy is not None else files[1])


def _is_address(feed: str) -> bool:
    return feed.startswith(("http://", "https://", "env:"))


def _stem_of_address(feeds: list[str]) -> str:
    """A name for the workflow of an address: its file's.

    Raises:
      InputError: there are other feeds beside it.
    """
    if len(feeds) > 1:
        hint = "write the others into the workflow's `feeds`, each with its source"
        raise InputError(Problem("", "expected no other feed beside an address", key="FEED", hint=hint))
    if feeds[0].startswith("env:"):
        return "shop"
    host, _, path = feeds[0].partition("://")[2].partition("?")[0].partition("/")
    return path.rpartition("/")[2].partition(".")[0] or host.rpartition("@")[2].partition(":")[0]


def _say_next(workflow: Path, empty_taxonomy: Path | None) -> None:
    """Prints the commands to come, as a shell takes them, after what has to be written before them."""
    from modules.encoders.known import TEXT_ENCODERS
    from modules.encoders.places import is_installed

    steps = [
        ("run", "reads the feed, trains, measures, predicts every product"),
        ("label", "asks you about the products that would teach the most"),
        ("run", "learns from your answers"),
    ]
    commands = [(shlex.join(["shelfmark", command, str(workflow)]), does) for command, does in steps]
    width = max(len(command) for command, _ in commands)
    if not any(map(is_installed, TEXT_ENCODERS)):
        first, second, *_ = TEXT_ENCODERS
        _say(f"encoders that know English need far fewer labels: shelfmark encoder add {first} {second}, then")
        _say("this command again, with --force")
    if empty_taxonomy is not None:
        _say(f"first write two categories or more into {empty_taxonomy}; without them nothing runs")
    _say("next:")
    for command, does in commands:
        _say(f"  {command:<{width}}  # {does}")


def show(guess: Guess) -> None:
    """Prints what was guessed, with examples."""
    import shutil

    if guess.feeds:
        _show_feeds(guess)
        return
    kinds = sorted(set(guess.files.kinds))
    count = len(guess.files.paths)
    files = f"{counted(count, 'file')} of {' and '.join(kinds)}"
    _say(f"{files}; {counted(guess.products, 'product')} looked at")
    rows = [("field", "column", "sure", "examples")]
    rows += [(f.field, f.column, f"{f.confidence:.2f}", " | ".join(f.examples)) for f in guess.fields]
    if guess.vector:
        rows.append(("image_vector", guess.vector[0], "", f"vectors of {guess.vector[1]} numbers"))
    rows += [(a.name, a.column, "", f"{a.taken_as}: {' | '.join(a.examples)}") for a in guess.attributes]
    if guess.images and guess.images.usable:
        where = [", ".join(guess.images.hosts)] if guess.images.hosts else []
        where += [counted(guess.images.files, "file")] if guess.images.files else []
        rows.append(("images at", "", "", "; ".join(where)))
    if guess.split:
        rows.append(("split", guess.split[0], "", ", ".join(f"{value}: {split}" for value, split in guess.split[1])))
    if guess.category:
        values = " | ".join(text for text, _ in guess.category.examples)
        rows.append(("truth", guess.category.column, f"{guess.category.confidence:.2f}", values))
    first = max(13, *(len(row[0]) for row in rows))
    width = max(len(visible(row[1])) for row in rows)
    room = max(30, shutil.get_terminal_size((120, 24)).columns - width - first - 9)
    for field, column, sure, examples in rows:
        shown = "".join(c if c.isprintable() else " " for c in examples)
        if len(shown) > room:
            shown = shown[: room - 1] + "…"
        _say(f"{visible(field):<{first}}  {visible(column):<{width}}  {sure:<4}  {shown}".rstrip())
    if guess.unused:
        _say(f"not used: {', '.join(guess.unused)}")
    if guess.category:
        _show_category(guess)


def _show_feeds(guess: Guess) -> None:
    """Several retailers' feeds in one table, a row for each, and how to say that they are others."""
    fields = dict.fromkeys(field.field for feed in guess.feeds for field in feed.fields)
    heads = ["retailer", "files", "format", "products", *fields]
    heads += ["image_vector"] if guess.vector else []
    heads += ["truth", "separator"] if guess.category else []
    rows = [heads]
    for feed in guess.feeds:
        row = [feed.retailer or "", f"{len(feed.files.paths):,}", " and ".join(sorted(set(feed.files.kinds)))]
        row += [f"{feed.products:,}", *(feed.column(field) or "-" for field in fields)]
        row += [feed.vector[0] if feed.vector else "-"] if guess.vector else []
        if guess.category:
            row += [feed.category.column, repr(feed.category.cells.separator)] if feed.category else ["-", "-"]
        rows.append([text if len(text) <= _CELL else text[: _CELL - 1] + "…" for text in map(visible, row)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    for feed in guess.feeds:
        _say(f"{feed.retailer}: {', '.join(str(path) for path in feed.files.paths)}")
        if feed.attributes:
            _say(f"  attributes: {', '.join(f'{a.name} ({a.column}, {a.taken_as})' for a in feed.attributes)}")
        if feed.unused:
            _say(f"  not used: {', '.join(feed.unused)}")
        if feed.category:
            for text, names in feed.category.examples[:1]:
                _say(f"  {text[:70]!r} -> {' | '.join(names)}")
    if guess.nodes:
        exclusive = sum(node.exclusive for node in guess.nodes)
        size = f"{counted(len(guess.nodes), 'category')} of at least {counted(guess.minimum, 'product')}"
        _say(f"taxonomy, of all feeds' trees: {size}, {exclusive:,} of them exclusive")
    _say(
        "Retailers are called after their files: change `retailer` in the workflow before people label. Files of one "
        "retailer belong into one entry of `feeds`; --together reads all as one retailer's."
    )


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
    size = f"{counted(len(guess.nodes), 'category')} of at least {counted(guess.minimum, 'product')}"
    _say(f"taxonomy: {size}, {exclusive:,} of them exclusive")


_CELL = 24
"""Characters of a column's name in the table of several feeds."""


def _say(text: str) -> None:
    """Prints a line; what a feed is written with may not steer the terminal."""
    typer.echo(visible(text))
