"""The audits of a workflow, as files: what was drawn, from what, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from modules.errors import InputError, Problem, reason
from modules.locks import lock
from modules.parquet import readable
from modules.paths import near
from modules.predictions.columns import CATEGORY, CATEGORY_ID, ID, RETAILER
from modules.predictions.withdrawn import Withdrawn

POPULATION = pa.schema([(ID, pa.string()), (CATEGORY_ID, pa.string())])
"""What an audit knew to be accepted: products with their categories."""
_ENDING = ".json"
_MEND = "put a backup in its place, or move the audit's two files away: what it has taken back is then accepted again"


class Drawn(BaseModel):
    """A product that an audit asks about, with the category that was accepted of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    retailer: str
    category: str
    inclusion_probability: float = Field(gt=0.0, le=1.0)


class Verdict(BaseModel):
    """What an audit's labels say: :data:`CATEGORY` and :data:`RETAILER` to names that have fallen, or have passed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fallen: dict[str, list[str]]
    passed: dict[str, list[str]]


class Audit(BaseModel):
    """One audit of one objective.

    Attributes:
      model: address of the model whose predictions were published. population: products that it was drawn from.
      is_queued: whether the label store has its batch. verdict: of the last report on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    time: float
    run: str
    model: str
    objective: str
    population: int
    drawn: list[Drawn]
    is_queued: bool = False
    verdict: Verdict | None = None

    @property
    def batch(self) -> str:
        """The id of its batch."""
        return f"audit-{self.number}-{self.objective}"


@dataclass(frozen=True)
class Audits:
    """The audits in a folder, which need not be there."""

    folder: Path

    def every(self) -> list[Audit]:
        """All of them, oldest first.

        Raises:
          InputError: a file is damaged.
        """
        files = self.folder.glob(f"*{_ENDING}") if self.folder.is_dir() else ()
        return sorted(map(self._read, files), key=lambda audit: audit.number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else draws or reports meanwhile: two at once would take the same number, and one would be lost.

        Raises:
          InputError: another process does, or the folder cannot be written.
        """
        try:
            held = lock(self.folder / ".lock")
        except OSError as error:
            raise self._unwritable(error) from None
        if held is None:
            expected = "expected audits at rest; another `shelfmark audit` is at work on them"
            raise InputError(Problem(near(self.folder), expected, hint="wait for it"))
        with held:
            yield

    def write(self, audit: Audit, population: pa.Table | None = None) -> None:
        """Keeps an audit in place of what was known of it; its population first, without which there is no audit.

        Raises:
          InputError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if population is not None:
                pq.write_table(population, self._population(audit), compression="ZSTD")
            part = self.folder / f".{audit.number}.part"
            part.write_text(audit.model_dump_json(indent=1) + "\n", "utf-8")
            os.replace(part, self.folder / f"{audit.number}{_ENDING}")
        except OSError as error:
            raise self._unwritable(error) from None

    def seen(self, model: str, objective: str) -> Iterator[pa.Table]:
        """What was accepted by a model when it was audited before, of :data:`POPULATION`.

        Raises:
          InputError: a file is damaged or gone.
        """
        for audit in self.every():
            if (audit.model, audit.objective) == (model, objective):
                with readable(self._population(audit), _MEND):
                    yield pq.read_table(self._population(audit), schema=POPULATION)

    def withdrawn(self, model: str) -> Withdrawn:
        """What the audits of a model have taken back, and no later one has given again."""
        taken: dict[str, dict[str, set[str]]] = {CATEGORY: {}, RETAILER: {}}
        for audit in self.every():
            if audit.model != model or audit.verdict is None:
                continue
            for kind, names in taken.items():
                own = names.setdefault(audit.objective, set())
                own -= set(audit.verdict.passed.get(kind, ()))
                own |= set(audit.verdict.fallen.get(kind, ()))
        categories, retailers = (
            {name: frozenset(own) for name, own in taken[kind].items() if own} for kind in (CATEGORY, RETAILER)
        )
        return Withdrawn(categories, retailers)

    def _population(self, audit: Audit) -> Path:
        return self.folder / f"{audit.number}.parquet"

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(Problem(near(self.folder), f"expected a folder that can be written: {reason(error)}"))

    def _read(self, file: Path) -> Audit:
        try:
            audit = Audit.model_validate_json(file.read_bytes())
            if file.stem != str(audit.number):
                raise ValueError
            return audit
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else "it is damaged"
            raise InputError(
                Problem(near(file), f"expected an audit as this version writes it: {why}", hint=_MEND)
            ) from None
