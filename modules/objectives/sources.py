"""Where an objective's labels come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from modules.errors import Problem
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

PEOPLE, RULES, MODEL = "people", "rules", "model"
COLUMN, FILE, OBJECTIVE = "column:", "file:", "objective:"


class LabelSources(Settings):
    """What an objective learns from, one or several sources."""

    sources: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(people|rules|model|(column|file|objective):.+)$")], ...],
        Field(min_length=1),
    ]
    """``people``: the label files and the label store. ``rules``: the rule file. ``model``: rows with source
    ``model``, of products of the train split that nobody has answered. ``column:NAME``: a column of the feed, and
    ``file:PATH`` a CSV or JSON Lines file with ``product_id`` and ``category``: an older system's assignments,
    several per product, never measured on. ``objective:NAME``: people's labels of an exclusive objective, with the
    categories above them. All but people and model only say yes; a product that they reach is in no other category,
    and one that they do not reach is unknown."""
    sampling: str | None = None
    """Of people's labels only those whose source is this one (``random``: drawn at random); null: all."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the feed, with assignments."""
        return self._named(COLUMN)

    @property
    def files(self) -> tuple[str, ...]:
        """With assignments."""
        return self._named(FILE)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Exclusive ones whose labels are taken."""
        return self._named(OBJECTIVE)

    def _named(self, kind: str) -> tuple[str, ...]:
        return tuple(source.removeprefix(kind) for source in self.sources if source.startswith(kind))

    def located(self, find: Callable[[str], str]) -> LabelSources:
        """The same with the files' full paths."""
        sources = [FILE + find(s.removeprefix(FILE)) if s.startswith(FILE) else s for s in self.sources]
        return self.model_copy(update={"sources": tuple(sources)})

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if RULES in self.sources and workflow.rules.file is None:
            yield contradiction(f"{place}.sources", RULES, "a rules.file for it to learn from")
        exclusive = workflow.single_label_objectives
        for name in self.objectives:
            if name not in exclusive:
                expected = f"an exclusive objective ({', '.join(exclusive) or 'there is none'})"
                yield contradiction(f"{place}.sources", OBJECTIVE + name, expected)
