"""Remote addresses and the pod's own paths: the launcher copies artifacts, but hands the container remote addresses.

``minio://bucket/key`` lies at ``/minio/bucket/key``, gs:// at ``/gcs`` and s3:// likewise (launcher_v2.go,
``LocalPathForURI``). Vertex AI mounts the buckets at the same ``/gcs``.
"""

from __future__ import annotations

import os
import re
from typing import Any

FOLDERS = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}
ROOT = "KFP_STAGING_ROOT"
"""Environment variable: the folder that the launcher's folders are in, where it is not ``/`` (tests)."""


class Staging:
    """Translates both ways."""

    def __init__(self, root: str | None = None):
        root = (os.environ.get(ROOT, "/") if root is None else root).rstrip("/")
        self._local = {scheme: f"{root}/{folder}/" for scheme, folder in FOLDERS.items()}
        self._remote = {path: scheme for scheme, path in self._local.items()}
        # Only at the beginning of an address or a path: http://host/minio/x is none.
        self._addresses = re.compile("(?<![A-Za-z0-9+.-])(?:" + "|".join(map(re.escape, self._local)) + ")")
        self._paths = re.compile(r"(?<![\w./:-])(?:" + "|".join(map(re.escape, self._remote)) + ")")

    def local(self, text: str) -> str:
        """With every remote address in it replaced by the pod's path."""
        return self._addresses.sub(lambda match: self._local[match[0]], text)

    def remote(self, text: str) -> str:
        """With every path of the pod in it replaced by the remote address."""
        return self._paths.sub(lambda match: self._remote[match[0]], text)

    def artifacts(self, artifacts: dict[str, Any], *, local: bool) -> None:
        """Translates addresses and texts of metadata in a map of artifact lists, in place."""
        translate = self.local if local else self.remote
        for entry in artifacts.values():
            for artifact in entry.get("artifacts", []):
                given = artifact.get("uri")
                if given:
                    artifact["uri"] = (
                        [translate(address) for address in given] if isinstance(given, list) else translate(given)
                    )
                metadata = artifact.get("metadata", {})
                for name, value in metadata.items():
                    if isinstance(value, str):
                        metadata[name] = translate(value)
