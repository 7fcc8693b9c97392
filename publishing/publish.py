"""One publication: what changed goes to the target, in batches, several at a time, and is noted when it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from modules.counting import counted
from modules.errors import InputError
from modules.gone import refused
from modules.predictions.documents import Document, Documents, removal
from publishing.log import DeadLetter, PublicationLog
from publishing.pace import Closed, Pace
from publishing.targets.base import Busy, PartlyRefused, Refused, Target, Unusable

ATTEMPTS = 8
MOST_REFUSED = 1000
"""Products of a publication: a target that refuses more has another form in mind, and is asked no further."""


class Stopped(Exception):
    """The publication ended before its time: why, and what to do. What was acknowledged is noted."""

    def __init__(self, why: str, hint: str = ""):
        self.why, self.hint = why, hint
        super().__init__(why)


@dataclass(frozen=True)
class Way:
    """How it is published.

    Attributes:
      everything: also what has not changed. many_gone: remove products even where most are gone.
      batch: products per batch. parallel: batches in flight.
    """

    everything: bool = False
    many_gone: bool = False
    batch: int = 500
    parallel: int = 1


@dataclass
class Counts:
    """Of products: what is to be done, and what the target has acknowledged or refused so far."""

    new: int = 0
    changed: int = 0
    same: int = 0
    gone: int = 0
    sent: int = 0
    removed: int = 0
    refused: int = 0

    @property
    def seen(self) -> int:
        """Products of the feed."""
        return self.new + self.changed + self.same


Listener = Callable[[Counts], None]


def changes(documents: Documents, log: PublicationLog, counts: Counts, everything: bool) -> Iterator[list[Document]]:
    """The documents of products that are new or changed, as they are read; counts them, and notes all that are seen."""
    for table in documents.batches():
        ids = [document.id for document in table]
        published = log.digests(ids)
        log.see(ids)
        wanted = []
        for document in table:
            before = published.get(document.id)
            counts.new += before is None
            counts.changed += before is not None and before != document.digest
            counts.same += before == document.digest
            if everything or before != document.digest:
                wanted.append(document)
        yield wanted


def compare(documents: Documents, log: PublicationLog, tell: Listener) -> Counts:
    """What a publication would send; sends nothing."""
    counts = Counts()
    for _ in changes(documents, log, counts, everything=False):
        tell(counts)
    counts.gone = log.gone()
    return counts


def publish(documents: Documents, log: PublicationLog, target: Target, pace: Pace, way: Way, tell: Listener) -> Counts:
    """Sends what is new, changed or gone, and notes it.

    Args:
      documents: their version is that of a publication that the log has begun.
      log: the target's.
      target: is started and finished here.
      pace: how fast.
      way: how else.
      tell: is told the counts now and then.

    Raises:
      Stopped: the target cannot be used, or cannot be reached for long.
      InputError: more than half of the products are gone, and nobody said that this is meant; the others are published.
    """
    publication = _Publication(log, target, pace, way, documents.version, tell)
    try:
        target.start(documents.version)
    except (Unusable, Busy) as error:
        raise Stopped(error.why, getattr(error, "hint", "")) from None
    try:
        publication.run(documents)
    finally:
        try:
            target.finish()
        except Unusable as error:
            raise Stopped(error.why, error.hint) from None
    counts = publication.counts
    log.end(documents.version, counts.sent, counts.removed, products=counts.seen)
    return counts


Batch = Sequence[Document]


@dataclass
class _Publication:
    log: PublicationLog
    target: Target
    pace: Pace
    way: Way
    version: int
    tell: Listener
    counts: Counts = field(default_factory=Counts)
    _halves: list[Batch] = field(default_factory=list)
    """Of batches that were refused; they go first."""
    _refusal: InputError | None = None

    def run(self, documents: Documents) -> None:
        changed = self._documents(documents)
        batches = iter(lambda: tuple(islice(changed, self.way.batch)), ())
        in_flight: dict[Future[None], Batch] = {}
        with ThreadPoolExecutor(self.way.parallel, "publish") as pool:
            try:
                while True:
                    while len(in_flight) < self.way.parallel:
                        batch = self._halves.pop() if self._halves else next(batches, None)
                        if batch is None:
                            break
                        # A kill may come when the target has the batch, and predictions may change before the next one.
                        self.log.announce([document.id for document in batch], self.version)
                        in_flight[pool.submit(self._deliver, batch)] = batch
                    if not in_flight:
                        break
                    self._note(in_flight, FIRST_COMPLETED)
            except BaseException:
                # Nobody waits for another attempt; what is under way is noted if it arrives.
                self.pace.close()
                self._settle(in_flight)
                raise
        if self._refusal is not None:
            raise self._refusal

    def _documents(self, documents: Documents) -> Iterator[Document]:
        for table in changes(documents, self.log, self.counts, self.way.everything):
            yield from table
            self.tell(self.counts)
        self.counts.gone = self.log.gone()
        if self._many_are_gone():
            return
        for product in self.log.gone_ids():
            yield removal(product, self.version)

    def _many_are_gone(self) -> bool:
        """Whether more products than usual are gone; :meth:`run` says so at its end."""
        gone = self.counts.gone
        before = gone + self.counts.changed + self.counts.same
        if not self.way.many_gone:
            self._refusal = refused(gone, before, "the predictions", "were not removed")
        return self._refusal is not None

    def _deliver(self, batch: Batch) -> None:
        """In a thread of its own: tries until the target has the batch, refuses it, or is given up."""
        for attempt in range(ATTEMPTS):
            self.pace.take(len(batch))
            try:
                self.target.send(batch)
                return
            except Busy as busy:
                why = busy.why
                self.pace.rest(attempt, busy.after)
        raise Unusable(f"{why}, {ATTEMPTS} times in a row", "the same command goes on where this one ended")

    def _note(self, in_flight: dict[Future[None], Batch], when: str) -> None:
        """Waits, and writes down what became of the batches that are over."""
        failure: Unusable | None = None
        for future in wait(in_flight, return_when=when).done:
            batch = in_flight.pop(future)
            try:
                future.result()
            except Refused as refused:
                self._refused(batch, refused)
            except PartlyRefused as partly:
                self._acknowledged([document for document in batch if document.id not in partly.refusals])
                for document in batch:
                    if document.id in partly.refusals:
                        self._bury(document, partly.refusals[document.id])
            except Unusable as error:
                failure = error
            else:
                self._acknowledged(batch)
            self.tell(self.counts)
        if failure is not None:
            raise Stopped(failure.why, failure.hint)

    def _settle(self, in_flight: dict[Future[None], Batch]) -> None:
        while in_flight:
            try:
                self._note(in_flight, FIRST_COMPLETED)
            except (Closed, Stopped):
                continue

    def _refused(self, batch: Batch, refused: Refused) -> None:
        """Halves the batch, down to the product that the target means."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._halves += [batch[middle:], batch[:middle]]
            return
        self._bury(batch[0], refused)

    def _acknowledged(self, documents: Batch) -> None:
        self.log.acknowledge([(document.id, document.digest) for document in documents], self.version)
        removed = sum(document.digest is None for document in documents)
        self.counts.removed += removed
        self.counts.sent += len(documents) - removed

    def _bury(self, document: Document, refused: Refused) -> None:
        self.counts.refused += 1
        self.log.bury(DeadLetter(document.id, refused.status, refused.why, document.as_json()), self.version)
        if self.counts.refused >= MOST_REFUSED:
            hint = "look at the dead letters: does the target expect another form?"
            raise Stopped(f"{self.target.name} refused {counted(MOST_REFUSED, 'product')}", hint)
