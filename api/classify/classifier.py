"""The pushed model behind batched requests; a newer one takes its place without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from api.classify.reading import ProductReader, ReadProduct, Unusable
from api.classify.requests import Classify
from api.current import Current
from api.refusals import Refused
from api.similarity.batching import Batcher, Full
from api.similarity.sources import Broken, newest_model, state_of
from modules.errors import InputError, Problem
from modules.examples import ID
from modules.feeds.encoding import bytes_entry, example_of
from modules.feeds.quarantine import REASONS
from modules.objectives import kind_named
from modules.predictions.columns import CATEGORY, CATEGORY_ID, PROBABILITY, SOURCE, objective_column
from modules.predictions.documents import DIGITS, REVIEW, objective_answers
from modules.predictions.guesses import NAMES, without_guesses

if TYPE_CHECKING:
    from modules.predictions.acceptance import ModelAcceptance
    from modules.predictions.evidence import Evidence
    from modules.predictions.live import LiveModel

MAX_BATCH = 256
MAX_WAITING = 4096
MAX_EXPLAINING = 32
"""Products that may wait for what spoke for their categories."""
EXPLAINED_WORDS = 64
"""Words of a product that are tried, at most."""
EXPLAINED_PARTS = 10
"""Words and attributes that are named of each category, at most."""
Answers = dict[str, dict[str, Any]]
"""Objective to what is said of a product."""
Job = tuple[bytes, int]
"""A product as an example, and how many categories are asked for."""
Held = Callable[[str | None], "ModelAcceptance | None"]
"""Gives what the published predictions are held to; None if that is still what has the version of the argument."""


class Model:
    """A pushed model, loaded, as :class:`api.current.Current` holds it.

    Attributes:
      push: the version that it was pushed as. version: of the push, and of what its answers are held to.
    """

    def __init__(self, live: LiveModel, push: str, version: str):
        self.live, self.push, self.version = live, push, version

    def answers(self, examples: Sequence[bytes], top: int) -> list[Answers | None]:
        """What the model says of each product, with ``top`` categories; None where it refuses the product."""
        batch = self.live.predict(examples)
        if batch is not None:
            return list(self._answers(batch, top))
        # One of them spoils the batch, and the others are to be answered: halving finds it in few calls.
        middle = len(examples) // 2
        return [*self.answers(examples[:middle], top), *self.answers(examples[middle:], top)] if middle else [None]

    def _answers(self, batch: pa.RecordBatch, top: int) -> list[Answers]:
        live = self.live
        table = pa.Table.from_batches([without_guesses(batch)])
        columns: dict[str, list[dict[str, Any]]] = {}
        for name, objective in live.workflow.objectives.items():
            kind, guessed = kind_named(objective.kind), live.guessed.get(name, frozenset())
            columns[name] = said = objective_answers(table, name, kind, live.taxonomy, guessed, top)
            for answer, guess in zip(said, _guesses(batch, name), strict=True):
                answer["is_answer"] = bool(answer["categories"])
                answer["guess"] = guess
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _guesses(batch: pa.RecordBatch, objective: str) -> list[dict[str, Any] | None]:
    """Per product the category that the model knows by its name alone; None where it was taught the category."""
    source = objective_column(objective, SOURCE)
    if source not in batch.schema.names or NAMES not in (sources := batch.column(source).to_pylist()):
        return [None] * batch.num_rows
    parts = (CATEGORY_ID, CATEGORY, PROBABILITY)
    values = zip(*(batch.column(objective_column(objective, part)).to_pylist() for part in parts), strict=True)
    return [
        {CATEGORY_ID: category_id, CATEGORY: path, PROBABILITY: round(probability, DIGITS)} if source == NAMES else None
        for source, (category_id, path, probability) in zip(sources, values, strict=True)
    ]


class PushedModels:
    """Opens the newest version in the folder where runs push blessed models, with what its answers are held to."""

    def __init__(self, folder: Path, held: Held):
        self._folder, self._held, self._broken = folder, held, Broken()
        self._acceptance: ModelAcceptance | None = None

    def __call__(self, version: str | None) -> Model | None:
        """See :class:`api.current.Current`."""
        newest = newest_model(self._folder)
        if newest is None:
            hint = "run the workflow until a model is blessed: shelfmark run"
            raise InputError(Problem("", "expected a pushed model; no model was blessed yet", hint=hint))
        self._acceptance = self._held(self._acceptance.version if self._acceptance else None) or self._acceptance
        acceptance = self._acceptance
        current = newest.name if acceptance is None else f"{newest.name}-{acceptance.version}"
        if current == version:
            return None
        with self._broken((newest.name, state_of(newest))):
            from modules.predictions.live import LiveModel

            model = Model(LiveModel(newest, acceptance), newest.name, current)
            # What is done at the first need takes long; no request is to wait for it.
            model.answers([example_of([bytes_entry(ID, [b""])])], 1)
            return model


class Classifier:
    """Answers requests; all methods run in the event loop."""

    def __init__(self, models: Current[Model], reader: ProductReader):
        self.models = models
        self._reader = reader
        # One call at a time: TensorFlow itself uses all cores.
        self._predicting = ThreadPoolExecutor(1, "predict")
        self._reading = ThreadPoolExecutor(2, "read")
        self._predict: Batcher[Job, Answers | None] = Batcher(
            _predict, self._predicting, max_jobs=MAX_BATCH, max_waiting=MAX_WAITING
        )
        # One product a call: who asks for categories alone waits for one of them at most.
        self._explain: Batcher[bytes, Evidence | None] = Batcher(
            _explain, self._predicting, max_jobs=1, max_wait=0.0, max_waiting=MAX_EXPLAINING
        )

    def close(self) -> None:
        """Lets go of the threads."""
        for pool in (self._predicting, self._reading):
            pool.shutdown(wait=False, cancel_futures=True)

    async def classify(self, asked: Classify) -> dict[str, Any]:
        """The answer to a request.

        Raises:
          Refused: It cannot be answered, or its only product is none.
        """
        model = self.models.current()
        records = asked.products if asked.products is not None else [asked.product]
        loop = asyncio.get_running_loop()
        products = await loop.run_in_executor(self._reading, self._reader.read, records, asked.retailer)
        jobs = [(product.example, asked.top) for product in products if isinstance(product, ReadProduct)]
        explained: list[Evidence | None] = [None] * len(jobs)
        try:
            answers = iter(await self._predict(model, jobs) if jobs else ())
            if asked.why:
                calls = [self._explain(model, [example]) for example, _ in jobs]
                explained = [evidence for (evidence,) in await asyncio.gather(*calls)]
        except Full:
            raise Refused(503, "too many requests wait", "", "", "try again in a second") from None
        if asked.product is not None:
            results = [_single(products[0], answers, model, asked.top)]
        else:
            results = [_result(product, answers, model, asked.top, row) for row, product in enumerate(products)]
        if asked.why:
            read = [
                result for product, result in zip(products, results, strict=True) if isinstance(product, ReadProduct)
            ]
            for result, evidence in zip(read, explained, strict=True):
                _add_reasons(result, evidence)
        facts = {"model": model.live.fingerprint, "version": model.push}
        return {**(results[0] if asked.product is not None else {"results": results}), **facts}


def _predict(key: Hashable, jobs: list[Job]) -> list[Answers | None]:
    assert isinstance(key, Model)
    examples, tops = zip(*jobs, strict=True)
    return key.answers(examples, max(tops))


def _explain(key: Hashable, jobs: list[bytes]) -> list[Evidence | None]:
    from modules.predictions.evidence import evidence_of

    assert isinstance(key, Model)
    return [evidence_of(key.live, example, max_words=EXPLAINED_WORDS) for example in jobs]


def _add_reasons(result: dict[str, Any], evidence: Evidence | None) -> None:
    if evidence is not None and "objectives" in result:
        result["untried_words"] = evidence.untried
        for name, said in result["objectives"].items():
            said["why"] = evidence.values(name, EXPLAINED_PARTS)


def _single(product: ReadProduct | Unusable, answers: Any, model: Model, top: int) -> dict[str, Any]:
    result = _result(product, answers, model, top)
    if "error" in result:
        raise Refused(422, **{name: result["error"][name] for name in ("what", "where", "expected", "next")})
    return result


def _result(
    product: ReadProduct | Unusable, answers: Any, model: Model, top: int, row: int | None = None
) -> dict[str, Any]:
    where = "product" if row is None else f"products.{row}"
    if isinstance(product, Unusable):
        return {"error": _error(product.reason, product.detail, where)}
    answer: Answers | None = next(answers)
    if answer is None:
        return {"id": product.id, "error": _error("wrong_type", "the model cannot read a value of it", where)}
    cut = {name: {**said, "top": said["top"][:top]} for name, said in answer.items()}
    for name, retailers in model.live.withdrawn.retailers.items():
        if product.retailer in retailers and "decision" in cut.get(name, ()):
            cut[name]["decision"] = REVIEW
    return {"id": product.id, "objectives": cut}


def _error(reason: str, what: str, where: str) -> dict[str, str]:
    next_ = "the fields are those that feed.fields and feed.attributes of the workflow name"
    return {"reason": reason, "what": what, "where": where, "expected": REASONS[reason], "next": next_}
