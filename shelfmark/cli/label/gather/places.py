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

from modules.errors import InputError, Problem

if TYPE_CHECKING:
    from pipeline.runs import Run, Runs

ENDPOINT = "AWS_ENDPOINT_URL"
_BLOCK = 1 << 20
_PATIENCE = 20.0
"""Seconds of trying again."""


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
    scheme, _, place = uri.partition("://")
    fetch = {"s3": _from_s3, "minio": _from_s3, "gs": _from_gs}.get(scheme)
    if fetch is None:
        raise InputError(Problem(uri, "expected a path, or an address with file://, gs://, s3:// or minio://"))
    if scheme == "minio" and not os.environ.get(ENDPOINT):
        hint = "http://127.0.0.1:9000 after `kubectl port-forward -n kubeflow service/minio-service 9000`"
        raise InputError(Problem(uri, f"expected {ENDPOINT} to say where MinIO is", hint=hint))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = fetch(place.strip("/"), Path(folder))
        except OSError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(Problem(uri, f"cannot be fetched: {reason}")) from None
        if found is None:
            raise InputError(Problem(uri, "expected a labelling batch; there is nothing"))
        yield found


def _from_s3(place: str, folder: Path) -> Path | None:
    """Copies a file, or the files of a folder; None: there is neither."""
    from pyarrow import fs

    source, path = fs.FileSystem.from_uri(f"s3://{urllib.parse.quote(place)}")
    info = source.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        return None
    found = [info] if info.is_file else [one for one in source.get_file_info(fs.FileSelector(path)) if one.is_file]
    for one in found:
        with source.open_input_stream(one.path) as stream, (folder / one.base_name).open("wb") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
    return folder / info.base_name if info.is_file else folder


def _from_gs(place: str, folder: Path) -> Path | None:
    """The same. Raises OSError where Google's client raises something else."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage import Client
    from google.cloud.storage.retry import DEFAULT_RETRY

    bucket, _, key = place.partition("/")
    retry = DEFAULT_RETRY.with_timeout(_PATIENCE)
    try:
        client = Client()
        below = client.list_blobs(bucket, prefix=f"{key}/", delimiter="/", retry=retry)
        # Some programs mark a folder by an empty object that is called like it.
        found = [one for one in below if not one.name.endswith("/")]
        found = found or [one for one in client.list_blobs(bucket, prefix=key, retry=retry) if one.name == key]
        for one in found:
            one.download_to_filename(str(folder / one.name.rsplit("/", 1)[-1]), retry=retry)
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from error
    return (folder / key.rsplit("/", 1)[-1] if found[0].name == key else folder) if found else None


def find_run(runs: Runs | None, run: str, uri: str | None, key: str) -> tuple[Run | None, str]:
    """The run that a batch belongs to, None if it is none of these, and the batch's URI.

    Args:
      runs: None: there are none here. run: an id or ``latest``. uri: of the artifact; None: the run's own. key: of the
        artifact.

    Raises:
      InputError: there is no such run.
    """
    if uri is None:
        assert runs is not None
        found = runs.find(run, key)
        return found, found.outputs[key].uri
    if runs is None:
        return None, uri
    # A run that somebody names is believed; else only the one that made it will do.
    return _made(runs, uri, key) if run == "latest" else runs.find(run, "predictions"), uri


def _made(runs: Runs, uri: str, key: str) -> Run | None:
    """The run whose output lies at ``uri``."""
    wanted = _plain(uri)
    for name in reversed(runs.ids):
        found = runs.find(name)
        if key in found.outputs and _plain(found.outputs[key].uri) == wanted:
            return found
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
