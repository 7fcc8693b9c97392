"""How long the artifacts of runs on this machine are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from modules.errors import InputError, Problem
from modules.settings.base import Settings

_SECONDS = {"h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
_PATTERN = r"^[0-9]{1,6}[hdw]$"


class RetentionSettings(Settings):
    """A run goes only if neither keeps it; what newer runs use, and the last blessed model, stay in any case."""

    runs: Annotated[int, Field(ge=1)] | None = None
    """The newest runs that are kept."""
    age: Annotated[str, Field(pattern=_PATTERN)] | None = None
    """Younger runs are kept: hours, days or weeks (``12h``, ``30d``, ``8w``)."""

    @model_validator(mode="after")
    def _says_something(self) -> RetentionSettings:
        if self.runs is None and self.age is None:
            raise ValueError("expected runs, age, or both")
        return self

    @classmethod
    def given(cls, runs: int | None, age: str | None) -> RetentionSettings:
        """Those of the command line.

        Raises:
          InputError: the age cannot be understood.
        """
        if age is not None and (not age[:-1].isascii() or not age[:-1].isdigit() or age[-1] not in _SECONDS):
            expected = "expected a number of hours, days or weeks: 12h, 30d, 8w"
            raise InputError(Problem("--older-than", expected, value=age))
        if age is not None and len(age) > 7:
            raise InputError(Problem("--older-than", "expected at most six digits", value=age))
        return cls(runs=runs, age=age)

    def seconds(self) -> float | None:
        """The age in seconds."""
        return None if self.age is None else float(int(self.age[:-1]) * _SECONDS[self.age[-1]])
