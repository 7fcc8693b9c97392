"""``shelfmark similar ID|IMAGE|TEXT``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, console
from shelfmark.cli.similar.source import IndexOption, ModelOption, opened

if TYPE_CHECKING:
    from api.similarity.engine import Loaded
    from modules.similarity.catalogue import SimilarityQuery


def find(
    what: Annotated[
        str, typer.Argument(metavar="ID|IMAGE|TEXT", help="A product's id, an image file, or any text like a title.")
    ],
    as_text: Annotated[bool, typer.Option("--text", help="It is a text, even if it is written like an id.")] = False,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=1000, help="How many neighbours.")] = 10,
    by: Annotated[
        str | None, typer.Option("--by", metavar="METHOD", help="joint, image, text, title, tokens: what the run has.")
    ] = None,
    categories: Annotated[
        list[str] | None, typer.Option("--category", metavar="CATEGORY", help="Only products in it or below it.")
    ] = None,
    retailers: Annotated[list[str] | None, typer.Option("--retailer", metavar="NAME", help="Only its.")] = None,
    availability: Annotated[list[str] | None, typer.Option("--availability", metavar="TEXT")] = None,
    price_from: Annotated[float | None, typer.Option("--price-from", min=0.0)] = None,
    price_to: Annotated[float | None, typer.Option("--price-to", min=0.0)] = None,
    as_json: JsonOption = False,
    index: IndexOption = None,
    model: ModelOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Print a product's nearest neighbours."""
    loaded = opened(index, model, workflow, overrides)
    catalogue = loaded.catalogue
    method = catalogue.method(by)
    within = catalogue.restriction(categories or (), retailers or (), availability or (), price_from, price_to)
    asked, shown = _asked(loaded, what, method, as_text)
    neighbours = catalogue.search(method, [asked], k, within)[0]
    if as_json:
        rows = [{"score": round(neighbour.score, 6), **vars(neighbour.product)} for neighbour in neighbours]
        typer.echo(json.dumps({"query": shown, "by": method, "neighbours": rows}, ensure_ascii=False))
        return
    from rich.table import Table

    from modules.reporting.console import show, text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("score", "id", "title", "category", "retailer", "price"):
        right = heading in ("score", "price")
        table.add_column(heading, overflow="fold", justify="right" if right else "left")
    for neighbour in neighbours:
        product = neighbour.product
        price = "" if product.price is None else f"{product.price:,.2f}"
        cells = (product.id, product.title or "", product.category or "", product.retailer or "")
        table.add_row(f"{neighbour.score:.3f}", *(text(cell, limit=80) for cell in cells), price)
    out = console()
    show(out, table)
    show(
        out,
        text(
            f"{len(neighbours)} nearest to {shown} by {method}, of {counted(len(catalogue.indexes[method]), 'product')}"
        ),
    )


def _asked(loaded: Loaded, what: str, method: str, as_text: bool) -> tuple[SimilarityQuery, str]:
    """The query, and what it is for people: a known id, else a file, else a text.

    Raises:
      InputError: it is written like an id, and no product has it; or the index can do nothing with it.
    """
    from api.similarity.embedder import Raw
    from api.similarity.engine import column_of
    from api.similarity.images import canonical_image
    from modules.errors import InputError, Problem
    from modules.similarity.catalogue import SimilarityQuery

    if not what.isascii() and what.encode("utf-8", "replace").decode() != what:
        raise InputError(Problem("", "an id, a file's name or a text in UTF-8", value=what))
    catalogue = loaded.catalogue
    product = None if as_text else catalogue.product(what)
    if product is not None:
        return catalogue.asked(what, method), f"{what} ({product.title})" if product.title else what
    path = Path(what)
    try:
        is_file = not as_text and "\0" not in what and path.is_file()
    except OSError:  # no file has so long a name
        is_file = False
    if not as_text and not is_file and path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".gif"):
        raise InputError(Problem(what, "an image file; there is none"))
    if not as_text and not is_file and catalogue.like_an_id(what):
        near = catalogue.near(what)
        hint = f"did you mean {near!r}? --text takes it as a text" if near else "--text takes it as a text"
        raise InputError(Problem("", "the id of a product in the index", key="id", value=what, hint=hint))
    column = column_of(loaded, method, is_image=is_file)
    if column is None:
        return SimilarityQuery(title=what), f"text {what!r}"
    raw = Raw(image=canonical_image(path.read_bytes(), what)) if is_file else Raw(what)
    assert loaded.embedder is not None
    vector = loaded.embedder([raw])[column][0]
    if not vector.any():
        raise InputError(Problem("", "something that the model can embed", value=what))
    return SimilarityQuery(vector, raw.title), f"image {what}" if is_file else f"text {what!r}"
