"""The object store: folders as buckets, and the launcher's copying (v2/objectstore)."""

from __future__ import annotations

import shutil
from pathlib import Path

SCHEMES = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}


def local_path(uri: str, pod: Path) -> Path | None:
    """``LocalPathForURI`` below a pod's folder; None for a scheme that the launcher does not know."""
    for scheme, folder in SCHEMES.items():
        if uri.startswith(scheme):
            return pod / folder / uri.removeprefix(scheme)
    return None


class ObjectStore:
    """Objects are files; a folder is a prefix."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, uri: str) -> Path:
        scheme, _, rest = uri.partition("://")
        return self._folder / scheme / rest

    def download(self, uri: str, target: Path) -> None:
        """``DownloadBlob``: everything below the prefix; nothing there is no error."""
        source = self.path(uri)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def upload(self, source: Path, uri: str, root: str) -> None:
        """``UploadBlob``, after ``KeyFromURI``.

        Raises:
          ValueError: the address is not below the run's root. FileNotFoundError: no such local file.
        """
        if not uri.startswith(root):
            raise ValueError(f"URI {uri!r} does not have expected bucket prefix {root!r}")
        if not source.exists():
            raise FileNotFoundError(source)
        target = self.path(uri)
        if source.is_dir():
            # An object store has no empty folders.
            for file in (path for path in source.rglob("*") if path.is_file()):
                copy = target / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
