"""Checked images on disk, addressed by their content, and an index from reference to content or failure.

``images/ab/<sha256>.jpg`` holds each image once, however many products name it; ``index.sqlite`` says which reference
has which, and which reference failed, why and when. Several processes of one machine may use a folder at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from modules.errors import reason
from modules.images.outcome import OK, Picture

_log = logging.getLogger(__name__)
_TABLE = """create table if not exists images (
  key blob primary key, digest blob, reason text not null, policy text not null, size integer not null,
  made real not null, used real not null) without rowid"""
_BATCH = 256
_DAY = 86_400.0


class ImageCache:
    """One per process; any thread may use it, also while another one closes it.

    Args:
      policy: text of the settings that decide whether a reference fails: failures under another one do not count.
      retry_after: seconds until a failure is forgotten.
      max_bytes: of all images; what was not used for longest goes first, when the cache is closed.

    Raises:
      OSError: the folder cannot be made or written.
    """

    def __init__(self, folder: str, policy: str, retry_after: float, max_bytes: int):
        self._folder = Path(folder)
        self._policy = policy
        self._retry_after = retry_after
        self._max_bytes = max_bytes
        self._rows: dict[bytes, tuple[bytes | None, str, int]] = {}
        self._used: set[bytes] = set()
        self._shards: set[str] = set()
        (self._folder / "images").mkdir(parents=True, exist_ok=True)
        self._closed = False
        # Of all but the images' files. SQLite crashes where a connection is closed that another thread is using.
        self._lock = threading.RLock()
        self._index = self._open()

    def _open(self) -> sqlite3.Connection:
        path = self._folder / "index.sqlite"
        for fresh in (False, True):
            index = sqlite3.connect(path, timeout=60.0, isolation_level=None, check_same_thread=False)
            try:
                index.execute("pragma journal_mode = wal")
                # An index that loses its last rows in a power cut costs some fetches, no more.
                index.execute("pragma synchronous = off")
                index.execute(_TABLE)
                return index
            except sqlite3.DatabaseError as error:
                index.close()
                if fresh or isinstance(error, sqlite3.OperationalError):
                    raise OSError(f"{path}: {reason(error)}") from error
                _log.warning("%s is damaged (%s) and is begun anew", path, error)
                for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        (self._folder / name).rename(self._folder / f"{name}.damaged")
        raise AssertionError("a fresh index opens or raises")

    def find(self, key: bytes) -> Picture | None:
        """Looks up a reference; None if its image has to be fetched."""
        known = self._known(key)
        if known is None:
            return None
        digest, reason = known
        if digest is None:
            return Picture(b"", reason)
        try:
            data = self._path(digest.hex()).read_bytes()
        except OSError:
            return None
        # A damaged file is fetched again.
        return Picture(data, OK) if hashlib.sha256(data).digest() == digest else None

    def _known(self, key: bytes) -> tuple[bytes | None, str] | None:
        """Digest and reason of a reference that needs no fetching."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                return row[:2]
            if self._closed:
                return None
            try:
                stored = self._index.execute(
                    "select digest, reason, policy, made, used from images where key = ?", (key,)
                ).fetchone()
            except sqlite3.Error as error:
                _log.warning("the index of images cannot be read: %s", error)
                return None
            if stored is None:
                return None
            digest, reason, policy, made, used = stored
            now = time.time()
            if digest is None and (policy != self._policy or now - made >= self._retry_after):
                return None
            if now - used > _DAY:
                self._used.add(key)
            return digest, reason

    def store(self, data: bytes) -> bytes | None:
        """Writes an image unless it is there, in one step; returns its digest, None if it cannot be written."""
        digest = hashlib.sha256(data).digest()
        path = self._path(digest.hex())
        part = path.with_name(f".{path.stem}-{os.getpid()}-{threading.get_ident()}")
        try:
            if path.parent.name not in self._shards:
                path.parent.mkdir(exist_ok=True)
                self._shards.add(path.parent.name)
            # One of the same size is the same image, or a damaged one that is found out when it is read.
            if not path.exists() or hashlib.sha256(path.read_bytes()).digest() != digest:
                part.write_bytes(data)
                part.replace(path)
        except OSError as error:
            _log.warning("the cache of images cannot be written: %s", error)
            return None
        return digest

    def record(self, key: bytes, digest: bytes | None, reason: str, size: int) -> None:
        """Remembers what became of a reference; ``digest`` is None for a failure. Written every now and then."""
        with self._lock:
            self._rows[key] = digest, reason, size
            if len(self._rows) >= _BATCH:
                self.flush()

    def flush(self) -> None:
        """Writes the index; what is recorded after it was closed is forgotten."""
        with self._lock:
            now = time.time()
            rows = [(k, d, r, self._policy, s, now, now) for k, (d, r, s) in self._rows.items()]
            used = [(now, key) for key in self._used]
            self._rows.clear()
            self._used.clear()
            if self._closed:
                return
            try:
                with _transaction(self._index):
                    self._index.executemany("insert or replace into images values (?, ?, ?, ?, ?, ?, ?)", rows)
                    self._index.executemany("update images set used = ? where key = ?", used)
            except sqlite3.Error as error:
                _log.warning("the index of images cannot be written: %s", error)

    def close(self) -> None:
        """Writes the index and removes what is too much; from any thread."""
        with self._lock:
            if self._closed:
                return
            self.flush()
            try:
                self._prune()
            except (sqlite3.Error, OSError) as error:
                _log.warning("old images stay in the cache: %s", error)
            self._closed = True
            self._index.close()

    def _prune(self) -> None:
        each = (
            "select digest, max(used) as used, max(size) as size from images where digest is not null group by digest"
        )
        (total,) = self._index.execute(f"select coalesce(sum(size), 0) from ({each})").fetchone()  # noqa: S608 - of constants alone
        if total <= self._max_bytes:
            return
        gone = []
        for digest, size in self._index.execute(f"select digest, size from ({each}) order by used"):  # noqa: S608 - of constants alone
            gone.append(digest)
            total -= size
            if total <= 0.9 * self._max_bytes:
                break
        with _transaction(self._index):
            self._index.execute("create temp table gone (digest blob primary key)")
            self._index.executemany("insert into gone values (?)", ((digest,) for digest in gone))
            self._index.execute("delete from images where digest in (select digest from gone)")
            self._index.execute("drop table gone")
        self._remove(gone)
        _log.info("%s images that were not used for longest were removed from the cache", len(gone))

    def _remove(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                self._path(digest.hex()).unlink()

    def _path(self, digest: str) -> Path:
        return self._folder / "images" / digest[:2] / f"{digest}.jpg"


@contextlib.contextmanager
def _transaction(index: sqlite3.Connection) -> Iterator[None]:
    index.execute("begin immediate")
    try:
        yield
    except BaseException:
        index.execute("rollback")
        raise
    index.execute("commit")
