"""Where a batch lies, and which run made it."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modules import object_stores
from modules.errors import InputError, Problem

if TYPE_CHECKING:
    from pipeline.runs import Run, Runs

ENDPOINT = "AWS_ENDPOINT_URL"
_BLOCK = 1 << 20


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """The folder or file at ``uri``: a path, ``file://``, or a copy out of object storage that goes away again.

    ``s3://`` and ``minio://`` take address and credentials from AWS's variables, ``gs://`` from Google's.

    Raises:
      InputError: there is nothing, it cannot be read, or the address is of another kind.
    """
    path = _path(uri)
    if path is not None:
        if not path.exists():
            raise InputError(Problem(uri, "expected a labelling batch; there is nothing"))
        yield path
        return
    scheme = uri.partition("://")[0]
    if scheme not in object_stores.SCHEMES:
        raise InputError(Problem(uri, "expected a path, or an address with file://, gs://, s3:// or minio://"))
    if scheme == "minio" and not os.environ.get(ENDPOINT):
        hint = "http://127.0.0.1:9000 after `kubectl port-forward -n kubeflow service/minio-service 9000`"
        raise InputError(Problem(uri, f"expected {ENDPOINT} to say where MinIO is", hint=hint))
    with tempfile.TemporaryDirectory() as folder:
        try:
            copy_folder = _fetch(uri.rstrip("/"), Path(folder))
        except OSError as error:
            raise InputError(Problem(uri, f"cannot be fetched: {error.strerror or error}")) from None
        if copy_folder is None:
            raise InputError(Problem(uri, "expected a labelling batch; there is nothing"))
        yield copy_folder


def _fetch(uri: str, folder: Path) -> Path | None:
    """Copies an object, or the objects of a folder; None: there is neither."""
    try:
        object_stores.size_of(uri)
        addresses = [uri]
    except FileNotFoundError:
        addresses = object_stores.objects_in(uri)
    for address in addresses:
        with object_stores.open_object(address) as stream, (folder / address.rpartition("/")[2]).open("wb") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
    return (folder / uri.rpartition("/")[2] if addresses == [uri] else folder) if addresses else None


def find_run(runs: Runs | None, run: str, uri: str | None, key: str) -> tuple[Run | None, str]:
    """The run that a batch belongs to, None if it is none of these, and the batch's URI.

    Args:
      runs: None: there are none here.
      run: an id or ``latest``.
      uri: of the artifact; None: the run's own.
      key: of the artifact.

    Raises:
      InputError: there is no such run.
    """
    if uri is None:
        assert runs is not None
        selected_run = runs.find(run, key)
        return selected_run, selected_run.outputs[key].uri
    if runs is None:
        return None, uri
    # A run that somebody names is believed; else only the one that made it will do.
    return _made(runs, uri, key) if run == "latest" else runs.find(run, "predictions"), uri


def _made(runs: Runs, uri: str, key: str) -> Run | None:
    """The run whose output lies at ``uri``."""
    wanted = _plain(uri)
    for name in reversed(runs.ids):
        candidate = runs.find(name)
        if key in candidate.outputs and _plain(candidate.outputs[key].uri) == wanted:
            return candidate
    return None


def _plain(uri: str) -> str:
    """One spelling per place."""
    path = _path(uri)
    return uri.rstrip("/") if path is None else str(path.absolute())


def _path(uri: str) -> Path | None:
    """On this machine; None: elsewhere."""
    if uri.startswith("file://"):
        return Path(urllib.parse.unquote(uri.removeprefix("file://")))
    return None if "://" in uri else Path(uri)
