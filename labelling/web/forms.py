"""What the pages are asked: query parameters and forms, with their limits.

Links and old pages may hold anything, so a parameter that makes no sense counts as one that is not there. Only what
would be kept is refused, with a sentence.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_NOTE = 2000
MAX_REQUEST = 64
MAX_ID = 1000
MAX_SEARCH = 200
MAX_NUMBERS = 500  # more than the page keeps unsaved, loaded ahead and passed over


def numbers(text: str) -> list[int]:
    """Reads whole numbers out of ``1,2,3``, at most ``MAX_NUMBERS``; anything else is passed over."""
    return [int(part) for part in text.split(",") if _is_number(part, 18)][:MAX_NUMBERS]


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def _whole(digits: int) -> BeforeValidator:
    """Reads a whole number of at most so many digits; any other text is 0."""
    return BeforeValidator(lambda text: int(text) if isinstance(text, str) and _is_number(text, digits) else 0)


def _cut(length: int) -> AfterValidator:
    return AfterValidator(lambda text: text[:length])


def _item(text: str) -> int:
    items = numbers(text)
    if len(items) != 1 or not text.isdigit():
        raise ValueError("there is no such item")
    return items[0]


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError("the seconds are no number") from None
    return None if math.isnan(seconds) else seconds


Count = Annotated[int, _whole(9)]
RowId = Annotated[int, _whole(18)]
Id = Annotated[str, _cut(MAX_ID)]
SearchText = Annotated[str, AfterValidator(str.strip), _cut(MAX_SEARCH)]
Held = Annotated[list[int], BeforeValidator(numbers)]
"""Items that are on the annotator's screen, or loaded ahead."""

RequestId = Annotated[str, _cut(MAX_REQUEST)]
"""Unique to a request, however often it is sent."""


class Filters(BaseModel):
    """Which products an annotator is asked about; None: any.

    Attributes:
      batch: The batch's id.
      objective: The objective's name.
      category: The id of a category; those below it count, too.
      kind: ``batch`` or ``review``; None: a named batch whatever its kind, else batches. Reviews are a queue of their
        own; nobody stumbles into them.
    """

    model_config = ConfigDict(frozen=True)

    batch: str | None = None
    objective: str | None = None
    category: str | None = None
    kind: str | None = None

    @property
    def given(self) -> dict[str, str]:
        """The filters that restrict something, by name."""
        return {name: value for name, value in self.model_dump().items() if value}

    @property
    def wanted_kind(self) -> str | None:
        """The kind of queue; None: any."""
        return self.kind or (None if self.batch else "batch")


class Form(BaseModel):
    """The fields of a form. Of a name that comes several times the last field counts; an empty field counts as none."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    repeated: ClassVar[Sequence[str]] = ()
    """Names of which every field counts."""

    @classmethod
    def of(cls, fields: Sequence[tuple[str, str]]) -> Self:
        """Reads the fields in their order.

        Raises:
          pydantic.ValidationError: A field is missing, or makes no sense.
        """
        values: dict[str, Any] = {name: value for name, value in dict(fields).items() if value}
        values |= {name: [value for other, value in fields if other == name] for name in cls.repeated}
        return cls.model_validate(values)


class FilteredForm(Form):
    """A form of the labelling page, which goes on to the next product of the same queue."""

    filter_batch: str | None = None
    filter_objective: str | None = None
    filter_category: str | None = None
    filter_kind: str | None = None

    @property
    def filters(self) -> Filters:
        """The filters of the page that the form was on."""
        return Filters(
            batch=self.filter_batch, objective=self.filter_objective, category=self.filter_category,
            kind=self.filter_kind,
        )  # fmt: skip


class AnswerForm(FilteredForm):
    """An answer to a question, or a label that somebody gives on a product's own page (``item``: None)."""

    repeated = ("also",)

    seconds: Annotated[float | None, BeforeValidator(_seconds)] = None
    item: Annotated[int | None, BeforeValidator(_item)] = None
    product: str
    objective: str
    request: RequestId
    category: str | None = None
    value: str | None = None
    note: Annotated[str, _cut(MAX_NOTE)] | None = None
    also: list[str] = Field(default_factory=list)
    to: str | None = None


class UndoForm(FilteredForm):
    """The wish to take the last answer back."""

    request: RequestId = Field(default_factory=lambda: secrets.token_urlsafe(18))


class HoldForm(Form):
    """What the page still shows, so that nobody else gets it."""

    held: Held = Field(default_factory=list)


class SignInForm(Form):
    """Name and password, and where to go on to."""

    name: Annotated[str, AfterValidator(str.strip)] = ""
    password: str = ""
    to: str | None = None


class BatchForm(Form):
    """What an admin changes about a batch.

    Attributes:
      count: How many products are reserved; None: all. 0: the field held no number.
    """

    id: str = ""
    action: str = ""
    overlap: Count | None = None
    annotator: str | None = None
    count: Count | None = None


class VerdictForm(Form):
    """Which of two products is more like a third one."""

    query: str = ""
    a: str = ""
    b: str = ""
    verdict: str = ""
    a_method: str | None = None
    b_method: str | None = None
    request: RequestId = Field(default_factory=lambda: secrets.token_urlsafe(18))
    to: str | None = None
    skip: Count | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that proposed the two products; empty where they are not known."""
        return (self.a_method, self.b_method) if self.a_method and self.b_method else ()
