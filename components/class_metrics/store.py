"""Opens ML Metadata where it is: SQLite, MySQL, PostgreSQL, or its gRPC service. Light: no TensorFlow."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from modules.errors import InputError, Problem


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


def open_store(uri: str) -> Any:
    """An ``ml_metadata.MetadataStore`` to read from.

    Raises:
      InputError: no such file, a bad URL, or the server does not answer.
    """
    from ml_metadata import errors
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = connection_config(uri)
    if isinstance(config, metadata_store_pb2.ConnectionConfig) and config.HasField("sqlite"):
        path = config.sqlite.filename_uri
        if not os.path.isfile(path):
            raise InputError(Problem(path, "there is no ML Metadata yet", hint="run the workflow first: shelfmark run"))
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    try:
        return metadata_store.MetadataStore(config)
    except (errors.StatusError, RuntimeError) as error:
        shown = uri if "://" not in uri else uri.rpartition("@")[2]
        raise InputError(Problem(shown, f"ML Metadata cannot be opened: {error}")) from error
