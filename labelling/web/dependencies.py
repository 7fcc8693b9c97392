"""What the pages' handlers ask for by ``Depends``, and how they say that something is not there or not kept.

These functions are coroutines, so that FastAPI needs no thread for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends
from pydantic import ValidationError
from starlette.requests import Request

from labelling.store.accounts import Session
from labelling.web.context import Web
from labelling.web.forms import Filters, Form

SomeForm = TypeVar("SomeForm", bound=Form)


class Missing(Exception):
    """The page that says what is not there, or not allowed.

    Args:
      what: A sentence for people.
      code: The HTTP status.
    """

    def __init__(self, what: str, code: int = 404):
        super().__init__(what)
        self.what, self.code = what, code


class NotKept(Exception):
    """An answer that is not kept; its text says why, without a full stop."""


async def _web(request: Request) -> Web:
    web: Web = request.app.state.web
    return web


async def _session(request: Request) -> Session:
    session: Session = request.state.session
    return session


async def _filters(
    batch: str | None = None, objective: str | None = None, category: str | None = None, kind: str | None = None
) -> Filters:
    return Filters(batch=batch or None, objective=objective or None, category=category or None, kind=kind or None)


SharedWeb = Annotated[Web, Depends(_web)]
"""What all pages share."""

SignedIn = Annotated[Session, Depends(_session)]
"""The session of whoever asks; the guard lets nobody else come to a page that needs one."""

AskedFilters = Annotated[Filters, Depends(_filters)]
"""The filters of the address."""


def form_of(model: type[SomeForm]) -> Callable[[Request], Awaitable[SomeForm]]:
    """Makes the dependency that reads a form, which the guard has taken out of the body already.

    Raises:
      NotKept: When called: a field is missing, or makes no sense.
    """

    async def read(request: Request) -> SomeForm:
        try:
            return model.of(request.state.form)
        except ValidationError as error:
            mistake = error.errors(include_url=False, include_input=False)[0]
            missing = mistake["type"] == "missing"
            raise NotKept("a field is missing" if missing else mistake["msg"].removeprefix("Value error, ")) from None

    return read


def admins_alone(what: str) -> Callable[[Request], Awaitable[None]]:
    """Makes the dependency of a route that is for admins alone.

    Args:
      what: The sentence that tells others so.

    Raises:
      Missing: When called: whoever asks is no admin.
    """

    async def check(request: Request) -> None:
        if request.state.session.role != "admin":
            raise Missing(what, 403)

    return check
