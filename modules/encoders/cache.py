"""Vectors on disk, by text and encoder, so that a text is embedded once.

``vectors.sqlite`` in a folder of the caller. Several processes may use it at the same time. A vector that cannot be
read is a miss, and one that cannot be written is embedded again the next time: a cache never fails a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from modules.arrays import Float16Array
from modules.errors import reason

MAX_BYTES = 4_000_000_000
"""Of the file; some four million vectors of 384 numbers."""
FILE = "vectors.sqlite"
_TABLE = "create table if not exists vectors (key blob primary key, vector blob not null, used real not null)"
_BATCH = 500
_DAY = 86_400.0
_KEPT = 0.9

_log = logging.getLogger(__name__)


class VectorCache:
    """One encoder's vectors in a folder; a context manager. One thread uses it.

    Args:
      folder: is made if it is not there.
      fingerprint: of the encoder.
      width: length of a vector.
      max_bytes: of the file; what was not used for longest goes first, when the cache is closed.
    """

    def __init__(self, folder: str | Path, fingerprint: str, width: int, max_bytes: int = MAX_BYTES):
        self._folder = Path(folder)
        self._fingerprint = fingerprint.encode()
        self._width = width
        self._max_bytes = max_bytes
        self._database = self._open()

    def __enter__(self) -> VectorCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection | None:
        path = self._folder / FILE
        for fresh in (False, True):
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
            except (OSError, sqlite3.Error) as error:
                _log.warning("%s: vectors are not cached: %s", path, reason(error))
                return None
            try:
                database.execute("pragma auto_vacuum = incremental")
                database.execute("pragma journal_mode = wal")
                # A file that loses its last rows in a power cut costs some texts' embedding, no more.
                database.execute("pragma synchronous = off")
                database.execute(_TABLE)
                database.execute("select key, vector, used from vectors limit 1").fetchone()
                return database
            except sqlite3.Error as error:
                database.close()
                # Of another program's lock or a full disk the file is not to blame.
                damaged = error.sqlite_errorcode & 0xFF in (
                    sqlite3.SQLITE_CORRUPT,
                    sqlite3.SQLITE_NOTADB,
                    sqlite3.SQLITE_ERROR,
                )
                if fresh or not damaged:
                    _log.warning("%s: vectors are not cached: %s", path, reason(error))
                    return None
                _log.warning("%s is damaged (%s) and is begun anew", path, reason(error))
                for end in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        path.with_name(FILE + end).replace(path.with_name(f"{FILE}{end}.damaged"))
        return None

    def find(self, texts: Sequence[str]) -> dict[str, Float16Array]:
        """Vectors, float16 (width,), of those texts that are there."""
        if self._database is None:
            return {}
        found_vectors: dict[str, Float16Array] = {}
        now, touched = time.time(), []
        for start in range(0, len(texts), _BATCH):
            by_key = {self._key(text): text for text in texts[start : start + _BATCH]}
            marks = ",".join("?" * len(by_key))
            query = f"select key, vector, used from vectors where key in ({marks})"  # noqa: S608 - of question marks alone
            try:
                rows = self._database.execute(query, list(by_key)).fetchall()
            except sqlite3.Error as error:
                _log.warning("cached vectors cannot be read: %s", reason(error))
                return found_vectors
            for key, data, used in rows:
                vector = self._decoded(data)
                if vector is None:
                    continue
                found_vectors[by_key[key]] = vector
                if not isinstance(used, float) or abs(now - used) > _DAY:
                    touched.append((now, key))
        self._write("update vectors set used = ? where key = ?", touched)
        return found_vectors

    def store(self, vectors: Mapping[str, Float16Array]) -> None:
        """Keeps vectors, float16 (width,), by their texts."""
        now = time.time()
        rows = [(self._key(text), _encoded(vector), now) for text, vector in vectors.items()]
        self._write("insert or replace into vectors values (?, ?, ?)", rows)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if self._database is None or not rows:
            return
        try:
            self._transaction(statement, rows)
        except sqlite3.Error as error:
            _log.warning("vectors cannot be cached: %s", reason(error))

    def _transaction(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        assert self._database is not None
        self._database.execute("begin immediate")
        try:
            self._database.executemany(statement, rows)
            self._database.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("rollback")
            raise

    def close(self) -> None:
        """Removes what is too much."""
        database, self._database = self._database, None
        if database is None:
            return
        try:
            self._prune(database)
        except sqlite3.Error as error:
            _log.warning("old vectors stay in the cache: %s", reason(error))
        with contextlib.suppress(sqlite3.Error):
            database.close()

    def _prune(self, database: sqlite3.Connection) -> None:
        def value(pragma: str) -> int:
            return int(database.execute(f"pragma {pragma}").fetchone()[0])

        def size() -> int:
            return (value("page_count") - value("freelist_count")) * value("page_size")

        # Pages that are left half empty make it more than one round.
        while (before := size()) > self._max_bytes and self._prune_rows(database, 1 - _KEPT * self._max_bytes / before):
            # Python takes one step of this statement, which gives one page back.
            database.execute("begin immediate")
            for _ in range(value("freelist_count")):
                database.execute("pragma incremental_vacuum")
            database.execute("commit")
            database.execute("pragma wal_checkpoint(truncate)").fetchall()

    @staticmethod
    def _prune_rows(database: sqlite3.Connection, share: float) -> int:
        """Deletes a share of the rows, those that were not used for longest; returns how many."""
        (rows,) = database.execute("select count(*) from vectors").fetchone()
        oldest = "select rowid from vectors order by used limit ?"
        query = f"delete from vectors where rowid in ({oldest})"  # noqa: S608 - of a constant
        gone = database.execute(query, (int(rows * share) + 1,)).rowcount
        _log.info("%s vectors that were not used for longest were removed from the cache", gone)
        return gone

    def _key(self, text: str) -> bytes:
        # Half of a surrogate pair is no text, but may come out of a feed.
        return hashlib.sha256(self._fingerprint + b"\0" + text.encode("utf-8", "surrogatepass")).digest()

    def _decoded(self, data: object) -> Float16Array | None:
        if not isinstance(data, bytes) or len(data) != 4 + 2 * self._width:
            return None
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return None
        return np.frombuffer(data, "<f2", offset=4).astype(np.float16)


def _encoded(vector: Float16Array) -> bytes:
    data = np.asarray(vector, "<f2").tobytes()
    return zlib.crc32(data).to_bytes(4, "little") + data
