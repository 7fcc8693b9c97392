"""What the pages and those who watch over the server fetch: categories, product images, health."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from labelling.store import status
from labelling.web.dependencies import SharedWeb
from labelling.web.forms import MAX_SEARCH
from labelling.web.outage import RETRY
from modules.objectives import DEFAULT_KIND, kind_named

router = APIRouter()
NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4" '
    'fill="none" stroke="#8a94a3" stroke-width="1"/></svg>'
)


@router.get("/search")
def search(web: SharedWeb, objective: str = "", q: str = "") -> Response:
    """The categories that an objective can have as answers, those most like the text first."""
    with web.store.read() as connection:
        taxonomy = web.taxonomy(connection)
        kind = status.kinds(connection).get(objective, DEFAULT_KIND)
    hits = web.search(taxonomy, kind_named(kind).single_label).find(q[:MAX_SEARCH]) if taxonomy is not None else []
    return JSONResponse([{"id": category.id, "path": category.text} for category in hits])


@router.get("/image")
def image(web: SharedWeb, id: str = "") -> Response:
    """A product's image."""
    png = web.images.get(id)
    if png is None:
        # A picture of no picture: a feed's image may be lost or broken, which is no reason for a broken page.
        return Response(NO_PICTURE, media_type="image/svg+xml", headers={"cache-control": "private, max-age=60"})
    return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.get("/health")
def health(web: SharedWeb) -> Response:
    """Whether the label store can be used."""
    state = web.store.state()
    if state == "ok":
        return JSONResponse({"ok": True, "store": state})
    return JSONResponse({"ok": False, "store": state}, 503, {"retry-after": str(RETRY)})


@router.get("/healthz")
async def alive() -> Response:
    """Whether the process answers, whatever the label store does: a restart mends no store."""
    return JSONResponse({"ok": True})
