"""Audits of what the published predictions accept: draws products, and makes the labels into a verdict."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.audit.draw import drawn, inclusion_probabilities
from modules.audit.estimate import OVERALL, Estimate, estimates, verdict_of
from modules.audit.record import POPULATION, Audit, Audits, Drawn, Verdict
from modules.errors import InputError, Problem
from modules.objectives import kind_named
from modules.predictions.acceptance import read_acceptance
from modules.predictions.columns import ACCEPTED, CATEGORY, CATEGORY_ID, ID, RETAILER, TITLE, objective_column
from modules.predictions.read import PredictionFiles
from modules.predictions.withdrawn import Withdrawn
from modules.settings.acceptance import AcceptanceSettings
from pipeline.results import Published, published_predictions
from pipeline.rollback import model_of
from pipeline.run_folder import RunFolder
from pipeline.runs import PUBLISHED
from pipeline.workflow_file import LoadedWorkflow

ACCEPTED_COLUMNS = (ID, CATEGORY_ID, RETAILER)


@dataclass(frozen=True)
class Report:
    """What the labels of an audit say.

    Attributes:
      audit: with its verdict, which is the last one's where nothing is judged.
      asked: what was asked for. judged: of its products.
      rows: overall, per category and per retailer. paths: id of a category to its path.
      withdrawn: all that is for review by now.
    """

    audit: Audit
    asked: AcceptanceSettings
    judged: int
    rows: Sequence[Estimate]
    paths: Mapping[str, str]
    withdrawn: Withdrawn

    @property
    def alarms(self) -> list[Estimate]:
        """What has fallen below the precision."""
        return [row for row in self.rows if row.has_fallen(self.asked.precision)]

    def named(self, row: Estimate) -> str:
        """What an estimate is of, for people."""
        if row.kind == OVERALL:
            return "all accepted products"
        if row.kind == CATEGORY:
            several = len(row.members) > 1
            where = self.paths.get(row.name, row.name) if row.name else "all other categories"
            return f"{where} (categories with few labels together)" if several and row.name else where
        retailers = ", ".join(map(_retailer, row.members))
        return retailers if len(row.members) == 1 else f"retailers with few labels together: {retailers}"

    def taken_back(self) -> list[str]:
        """The categories and retailers of the objective that are for review by now, for people."""
        objective = self.audit.objective
        names = [self.paths.get(name, name) for name in sorted(self.withdrawn.categories.get(objective, ()))]
        return names + [_retailer(name) for name in sorted(self.withdrawn.retailers.get(objective, ()))]


def _retailer(name: str) -> str:
    return name or "no retailer"


class Auditing:
    """The audits of a workflow's published predictions.

    Raises:
      InputError: nothing is published, or nothing is accepted in it.
    """

    def __init__(self, loaded: LoadedWorkflow):
        self._loaded = loaded
        self.audits = Audits(RunFolder.of(loaded.workflow).audits)
        self._published: Published = published_predictions(loaded)
        # What was taken back is audited on: another audit may give it again.
        self._published.files.withdrawn = Withdrawn()
        run = self._published.run
        self.model = model_of(run.outputs[PUBLISHED])
        asked = {name: own.settings for name, own in read_acceptance(run.folder(PUBLISHED)).items()}
        there = self._published.files.schema.names
        self.asked = {name: own for name, own in asked.items() if objective_column(name, ACCEPTED) in there}
        if not self.asked:
            expected = "expected published predictions of which some are accepted; the workflow asks for no precision"
            hint = f"set objectives.NAME.acceptance, and run: {loaded.run_command}"
            raise InputError(Problem("", expected, key="objectives", hint=hint))

    def kind(self, objective: str) -> str:
        """The name of an objective's kind."""
        return self._published.files.kinds[objective]

    def draw(self, objective: str, size: int, known: Collection[str]) -> tuple[Audit, pa.Table]:
        """An audit of what was accepted since the last one by the same model, and what it was drawn from.

        Ids and categories of that are held in memory.

        Args:
          size: products that are drawn, about. known: ids of products that somebody has labelled, or is to label.
        """
        every = self.audits.every()
        number = max((audit.number for audit in every), default=0) + 1
        table = _accepted(self._published.files, objective)
        fresh = ~_seen(table, list(self.audits.seen(self.model, objective)))
        fresh &= ~np.asarray(pc.is_in(table.column(ID), value_set=pa.array(sorted(known), pa.string())))
        table = table.filter(pa.array(fresh)).combine_chunks()
        codes = [table.column(name).combine_chunks().dictionary_encode() for name in (CATEGORY_ID, RETAILER)]
        indices = [code.indices.to_numpy(zero_copy_only=False).astype(np.int64) for code in codes]
        _, strata = np.unique(indices[0] * (len(codes[1].dictionary) + 1) + indices[1], return_inverse=True)
        probability = inclusion_probabilities(strata, size)
        rng = np.random.default_rng([self._loaded.workflow.seed, number])
        picked = drawn(strata, probability, rng)
        chosen = table.take(pa.array(picked))
        titles = _titles(self._published.files, chosen.column(ID))
        rows = [
            Drawn(
                id=product, title=titles.get(product, ""), retailer=retailer, category=category, inclusion_probability=p
            )
            for product, category, retailer, p in zip(
                *(chosen.column(name).to_pylist() for name in ACCEPTED_COLUMNS),
                np.minimum(probability[picked], 1.0).tolist(), strict=True,
            )
        ]  # fmt: skip
        run = self._published.run.id
        audit = Audit(
            number=number, time=time.time(), run=run, model=self.model, objective=objective, population=len(table),
            drawn=rows,
        )  # fmt: skip
        return audit, table.select(POPULATION.names)

    def newest(self, objective: str) -> Audit | None:
        """The last audit of the published model that has drawn something; None: there is none."""
        own = [a for a in self.audits.every() if (a.model, a.objective) == (self.model, objective) and a.drawn]
        return own[-1] if own else None

    def report(self, audit: Audit, right: Mapping[str, bool]) -> Report:
        """What the labels say; keeps the verdict, by which predictions are accepted from now on.

        Args:
          right: product to whether its accepted category is right, of those that were judged.
        """
        asked, taxonomy = self.asked[audit.objective], self._published.taxonomy
        rows = [row for row in audit.drawn if row.id in right]
        known = {c.id: c for c in kind_named(self.kind(audit.objective)).classes(taxonomy)}
        lineages = [[*(above.id for above in taxonomy.ancestors(c)), c.id] for c in known.values()]
        place = {lineage[-1]: number for number, lineage in enumerate(lineages)}
        rows = [row for row in rows if row.category in place]
        figures = estimates(
            np.array([place[row.category] for row in rows], np.int64), [row.retailer for row in rows],
            np.array([right[row.id] for row in rows], bool),
            np.array([1.0 / row.inclusion_probability for row in rows]), lineages, asked.confidence,
        )  # fmt: skip
        verdict = Verdict(
            fallen=dict(verdict_of(figures, asked.precision, Estimate.has_fallen)),
            passed=dict(verdict_of(figures, asked.precision, Estimate.has_passed)),
        )
        # Without a label, in an empty store say, nothing is known that would change the last verdict.
        judged = audit.model_copy(update={"verdict": verdict}) if rows else audit
        if rows:
            self.audits.write(judged)
        paths = {category.id: category.text for category in taxonomy}
        return Report(judged, asked, len(rows), figures, paths, self.audits.withdrawn(self.model))


def _accepted(files: PredictionFiles, objective: str) -> pa.Table:
    """:data:`ACCEPTED_COLUMNS` of the products whose category is accepted."""
    columns = [ID, objective_column(objective, CATEGORY_ID), RETAILER, objective_column(objective, ACCEPTED)]
    parts = [pa.table({name: pa.array([], pa.string()) for name in ACCEPTED_COLUMNS})]
    for batch in files.scan(columns):
        kept = batch.filter(pc.and_(batch.column(3), pc.is_valid(batch.column(1))))
        texts = [column.cast(pa.string()) for column in kept.columns[:3]]
        parts.append(pa.table([texts[0], texts[1], texts[2].fill_null("")], names=list(ACCEPTED_COLUMNS)))
    return pa.concat_tables(parts).combine_chunks()


def _seen(table: pa.Table, before: Sequence[pa.Table]) -> np.ndarray:
    """bool (n,): whether an earlier audit knew that the product was accepted in this category."""
    was = np.zeros(len(table), bool)
    for part in before:
        place = pc.index_in(table.column(ID), value_set=part.column(ID).combine_chunks())
        same = pc.equal(part.column(CATEGORY_ID).take(place), table.column(CATEGORY_ID)).fill_null(False)
        was |= np.asarray(same)
    return was


def _titles(files: PredictionFiles, ids: pa.ChunkedArray) -> dict[str, str]:
    titles: dict[str, str] = {}
    wanted = ids.combine_chunks()
    for batch in files.scan([ID, TITLE]):
        kept = batch.filter(pc.is_in(batch.column(0), value_set=wanted))
        titles.update(zip(kept.column(0).to_pylist(), kept.column(1).to_pylist(), strict=True))
    return titles
