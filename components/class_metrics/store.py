"""Opens ML Metadata where it is: SQLite, MySQL, PostgreSQL, or its gRPC service. Light: no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from components.class_metrics.sqlite_file import check_sqlite, damaged
from modules.errors import InputError, Problem
from modules.paths import near


def connection_config(uri: str) -> Any:
    """ML Metadata's connection settings, which TFX takes too.

    Args:
      uri: a SQLite file's path (also ``sqlite:///path``), ``mysql://user:password@host:port/database``,
        ``postgresql://user:password@host:port/database``, or ``grpc://host:port``.

    Raises:
      InputError: anything else.
    """
    from ml_metadata.proto import metadata_store_pb2

    scheme, separator, _ = uri.partition("://")
    if not separator or scheme == "sqlite":
        path = uri.removeprefix("sqlite://")
        if not path:
            raise InputError(Problem("", "expected a path after sqlite://", key="metadata", value=uri))
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = path
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    # What is shown of a bad URL must not hold its password.
    shown = f"{scheme}://..."
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise InputError(Problem("", f"expected a URL ({error})", key="metadata", value=shown)) from None
    name = parts.path.strip("/")
    if scheme == "grpc" and parts.hostname and port:
        return metadata_store_pb2.MetadataStoreClientConfig(host=parts.hostname, port=port)
    if scheme not in ("mysql", "postgresql", "postgres") or not parts.hostname or not name or "/" in name:
        expected = "expected a file, mysql://USER@HOST:PORT/DATABASE, postgresql://... or grpc://HOST:PORT"
        raise InputError(Problem("", expected, key="metadata", value=shown))
    config = metadata_store_pb2.ConnectionConfig()
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if scheme == "mysql":
        config.mysql.host, config.mysql.port = parts.hostname, port or 3306
        config.mysql.user, config.mysql.password, config.mysql.database = user, password, unquote(name)
    else:
        config.postgresql.host, config.postgresql.port = parts.hostname, str(port or 5432)
        config.postgresql.user, config.postgresql.password = user, password
        config.postgresql.dbname = unquote(name)
    return config


def open_store(uri: str, *, write: bool = False) -> Any:
    """An ``ml_metadata.MetadataStore``, whose errors are said in words.

    Args:
      uri: as for :func:`connection_config`.
      write: to write to as well; a SQLite file that is not there is made.

    Raises:
      InputError: no such file, a damaged one, a bad URL, or the server does not answer.
    """
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = connection_config(uri)
    path = None
    if isinstance(config, metadata_store_pb2.ConnectionConfig) and config.HasField("sqlite"):
        path = Path(config.sqlite.filename_uri)
        if path.exists():
            check_sqlite(path, write=write)
        elif not write:
            hint = "run the workflow first: shelfmark run"
            raise InputError(Problem(near(path), "there is no ML Metadata yet", hint=hint))
        if not write:
            config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    shown = near(path) if path is not None else uri.rpartition("@")[2]
    with _said(shown, path):
        return _Said(metadata_store.MetadataStore(config), shown, path)


class _Said:
    """A store whose methods raise InputError where ML Metadata's raise errors of their own."""

    def __init__(self, store: Any, shown: str, path: Path | None):
        self._store, self._shown, self._path = store, shown, path

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def said(*arguments: Any, **named: Any) -> Any:
            with _said(self._shown, self._path):
                return found(*arguments, **named)

        return said


@contextmanager
def _said(shown: str, path: Path | None) -> Iterator[None]:
    from google.protobuf.message import DecodeError
    from ml_metadata import errors

    try:
        yield
    except (errors.StatusError, RuntimeError, DecodeError, UnicodeDecodeError) as error:
        text = str(error)
        if path is None:
            raise InputError(Problem(shown, f"ML Metadata cannot be read: {text}")) from error
        if "locked" in text:
            hint = "the same command helps once that program lets it go"
            raise InputError(Problem(shown, "another program holds ML Metadata's database", hint=hint)) from error
        if "full" in text:
            hint = "make room; the same command helps then"
            raise InputError(Problem(shown, "the disk is full", hint=hint)) from error
        raise InputError(damaged(path)) from error
