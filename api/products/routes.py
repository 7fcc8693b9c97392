"""The routes that answer what the last blessed run predicted."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.current import Current
from api.products import answers
from api.products.cursors import cursor_after, read_cursor, wrong_cursor
from api.products.table import Filters, ProductTable
from api.refusals import Refused, answer
from modules.errors import InputError, shorten
from modules.taxonomy import Category

MAX_LIMIT = 1000
MAX_TEXT = 1000

router = APIRouter()
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cursor: str | None = Field(None, description="`next` of the page before; with the same filters.")
    limit: Limit = Field(100, description="Of a page.")


class ProductsAsked(_Page):
    """The parameters of ``GET /v1/products``; what is left out restricts nothing."""

    category: Text | None = Field(None, description="Its id or path; products below it count. Of the first objective.")
    retailer: Text | None = None
    min_probability: Probability | None = Field(None, description="Of the first objective's category.")
    max_probability: Probability | None = None


async def _table(request: Request) -> ProductTable:
    tables: Current[ProductTable] = request.app.state.services.products
    return tables.current()


Table = Annotated[ProductTable, Depends(_table)]


@router.get("/v1/products", response_model=answers.Products)
async def products(asked: Annotated[ProductsAsked, Query()], table: Table) -> Response:
    """Products in the order of their ids, page by page."""
    return answer(await run_in_threadpool(_products, asked, table))


@router.get("/v1/products/{id:path}", response_model=answers.Product)
async def product(id: str, table: Table) -> Response:
    """What the last blessed run says of a product."""
    # Microseconds, where a thread would take several times as long.
    document = table.document(id)
    if document is None:
        expected = "the id of a product of the last blessed run"
        raise Refused(404, f"no product {shorten(id)!r}", "id", expected, "GET /v1/products lists them")
    return Response(document, media_type="application/json")


@router.get("/v1/categories", response_model=answers.Categories)
async def categories(asked: Annotated[_Page, Query()], table: Table) -> Response:
    """The taxonomy with the numbers of products, page by page; parents come before their children."""
    return answer(await run_in_threadpool(_categories, asked, table))


@router.get("/v1/categories/{id:path}", response_model=answers.CategoryWithFigures)
async def category(id: str, table: Table) -> Response:
    """A category with its metrics in the last run that measured it, and in the runs before."""
    return answer(await run_in_threadpool(_category, id, table))


def _products(asked: ProductsAsked, table: ProductTable) -> dict[str, Any]:
    category = None if asked.category is None else _category_of(asked.category, table, 422).id
    filters = Filters(category, asked.retailer, asked.min_probability, asked.max_probability)
    after = read_cursor(asked.cursor, filters)
    # One more than asked for tells whether there is another page.
    rows = table.page(filters, after, asked.limit + 1)
    page = rows[: asked.limit]
    next_ = cursor_after(page[-1][0], filters) if len(rows) > len(page) else None
    return {"products": [orjson.Fragment(document) for _, document in page], "next": next_}


def _categories(asked: _Page, table: ProductTable) -> dict[str, Any]:
    question = "categories", table.version
    after = read_cursor(asked.cursor, question)
    every = list(table.taxonomy)
    start = _place(after, len(every))
    page = every[start : start + asked.limit]
    end = start + len(page)
    next_ = cursor_after(str(end), question) if end < len(every) else None
    return {"categories": [_plain(category, table) for category in page], "next": next_, "run": table.run}


def _place(after: str, categories: int) -> int:
    """Where a page begins, out of a cursor: its checksum is no signature, so that anybody may have made it up."""
    place = int(after) if after.isascii() and after.isdigit() and len(after) <= len(str(categories)) else 0
    if after and not 0 < place < categories:
        raise wrong_cursor()
    return place


def _category(text: str, table: ProductTable) -> dict[str, Any]:
    category = _category_of(text, table, 404)
    history = table.figures(category.id)
    return {
        **_plain(category, table),
        "children": [child.id for child in table.taxonomy.children(category)],
        "metrics": [figures for figures in history if figures["run"] == history[-1]["run"]],
        "history": history,
        "run": table.run,
    }


def _category_of(text: str, table: ProductTable, status: int) -> Category:
    try:
        return table.taxonomy.find(text)
    except InputError as error:
        expected = "the id or the path of a category in the taxonomy"
        next_ = error.problems[0].hint or "GET /v1/categories lists them"
        raise Refused(status, f"no category {shorten(text)!r}", "category", expected, next_) from None


def _plain(category: Category, table: ProductTable) -> dict[str, Any]:
    return {
        "id": category.id, "path": category.text, "name": category.name, "parent": category.parent,
        "level": category.level, "products": table.count(category.id),
    }  # fmt: skip
