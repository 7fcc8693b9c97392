"""Opens ML Metadata where it is: SQLite, MySQL, PostgreSQL, or its gRPC service. Light: no TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from components.class_metrics.sqlite_file import RUN, check_sqlite, damaged
from modules.errors import InputError, Problem, shorten
from modules.paths import near

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_PATIENCE = 300.0
"""Seconds that an answer of the gRPC service may take."""


def connection_config(uri: str) -> Any:
    """ML Metadata's connection settings, which TFX takes too.

    Args:
      uri: a SQLite file's path (also ``sqlite:///path``), ``mysql://user:password@host:port/database``,
        ``postgresql://user:password@host:port/database``, ``grpc://host:port``, or with TLS
        ``grpcs://host:port?ca=FILE``. FILE holds the certificates of the authority that signed the server's; left out,
        gRPC's own list of public authorities counts.

    Raises:
      InputError: anything else, or no certificates in FILE.
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
    if scheme in ("grpc", "grpcs") and _is_service(parts, port):
        service = metadata_store_pb2.MetadataStoreClientConfig(
            host=parts.hostname, port=port, client_timeout_sec=_PATIENCE
        )
        if scheme == "grpcs":
            service.ssl_config.SetInParent()
        for file in parse_qs(parts.query).get("ca", []):
            service.ssl_config.custom_ca = _authorities(file)
        return service
    if scheme not in ("mysql", "postgresql", "postgres") or not parts.hostname or not name or "/" in name:
        expected = (
            "expected a file, mysql://USER@HOST:PORT/DATABASE, postgresql://..., grpc://HOST:PORT or "
            "grpcs://HOST:PORT?ca=FILE"
        )
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


def open_store(uri: str, *, write: bool = False, run_command: str = RUN) -> Any:
    """Opens an ``ml_metadata.MetadataStore`` that raises InputError with a readable message.

    Args:
      uri: as for :func:`connection_config`.
      write: to write to as well; a SQLite file that is not there is made.
      run_command: what fills a new database, for messages.

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
            check_sqlite(path, write=write, run_command=run_command)
        elif not write:
            hint = f"run the workflow first: {run_command}"
            raise InputError(Problem(near(path), "there is no ML Metadata yet", hint=hint))
        if not write:
            config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    with _said(uri, path, run_command):
        store = metadata_store.MetadataStore(config)
        if not isinstance(config, metadata_store_pb2.ConnectionConfig):
            # The service is not called before the first question: ask one here, where its refusal can be told.
            store.get_context_types()
        return _Said(store, uri, path, run_command)


class _Said:
    """A store whose methods raise InputError where ML Metadata's raise errors of their own."""

    def __init__(self, store: Any, uri: str, path: Path | None, run_command: str):
        self._store = store
        self._place = uri, path, run_command

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if not callable(attribute):
            return attribute

        def said(*arguments: Any, **named: Any) -> Any:
            with _said(*self._place):
                return attribute(*arguments, **named)

        return said


@contextmanager
def _said(uri: str, path: Path | None, run_command: str) -> Iterator[None]:
    """``path``: the SQLite file, None for a server."""
    from google.protobuf.message import DecodeError
    from ml_metadata import errors

    try:
        yield
    except (errors.NotFoundError, errors.AlreadyExistsError, errors.InvalidArgumentError):
        # Answers to a question, which whoever asked it knows what to do with.
        raise
    except (errors.StatusError, RuntimeError, DecodeError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        if path is None:
            shown = uri.rpartition("@")[2].partition("?")[0]
            reason = f"ML Metadata cannot be opened: {shorten(text, 300)}"
            raise InputError(Problem(shown, reason, hint=_tls_hint(uri))) from error
        if "locked" in text:
            hint = "the same command helps once that program lets it go"
            raise InputError(Problem(near(path), "another program holds ML Metadata's database", hint=hint)) from error
        if isinstance(error, errors.FailedPreconditionError):
            raise InputError(
                Problem(near(path), f"ML Metadata cannot use this database: {shorten(text, 300)}")
            ) from error
        if "full" in text:
            hint = "make room; the same command helps then"
            raise InputError(Problem(near(path), "the disk is full", hint=hint)) from error
        raise InputError(damaged(path, run_command)) from error


def _is_service(parts: SplitResult, port: int | None) -> bool:
    """Host and port, and with TLS at most the file of the authority: nothing that would be left unheeded."""
    query = parse_qs(parts.query, keep_blank_values=True)
    return bool(
        parts.hostname
        and port
        and parts.path in ("", "/")
        and parts.username is None
        and (
            not parts.query
            or (parts.scheme == "grpcs" and set(query) == {"ca"} and len(query["ca"]) == 1 and query["ca"][0])
        )
    )


def _authorities(file: str) -> str:
    """The certificates in a PEM file, without the remarks between them, which may be in any encoding."""
    try:
        with open(file, "rb") as opened:
            certificates = _PEM.findall(opened.read().decode("latin-1"))
    except OSError as error:
        raise InputError(Problem(file, f"expected the certificates of an authority: {error.strerror}")) from None
    if not certificates:
        raise InputError(Problem(file, "expected the certificates of an authority, in PEM"))
    return "\n".join(certificates) + "\n"


def _tls_hint(uri: str) -> str:
    """gRPC words the same failure differently from version to version, so one hint covers all of them."""
    if uri.startswith("grpcs://"):
        return "it has to speak TLS, with a certificate that names this host and is signed by an authority in ?ca=FILE"
    return "one that speaks TLS is grpcs://HOST:PORT?ca=FILE" if uri.startswith("grpc://") else ""
