"""Requests to the API server, and its refusals in one sentence each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

TOKEN = "SHELFMARK_KUBEFLOW_TOKEN"  # noqa: S105 - the name of an environment variable
COOKIE = "SHELFMARK_KUBEFLOW_COOKIE"
ENDPOINT = "SHELFMARK_KUBEFLOW_ENDPOINT"
SERVICE_ACCOUNT_TOKEN = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of an environment variable
"""Environment variable: the projected token of the pod's service account; the name is Kubeflow's."""
_IN_CLUSTER = "/var/run/secrets/kubeflow/pipelines/token"
_API = "/apis/v2beta1"
_QUOTA = re.compile(r"quota|resource_?exhausted|too many|rate limit", re.IGNORECASE)


class ClusterError(Exception):
    """The cluster cannot be reached, or refuses: one sentence, never with a secret in it.

    Attributes:
      status: of the refusal, in HTTP; None where there was no answer.
    """

    def __init__(self, sentence: str, status: int | None = None):
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """How to sign in; what is secret never appears in a repr, a message or a log.

    Attributes:
      file: holds the token in place of ``headers``; read for each request, as Kubernetes replaces it in time.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: str = "none"
    file: Path | None = None

    @classmethod
    def find(cls, token: str | None = None, cookie: str | None = None) -> Credentials:
        """The first of: a token or cookie that is given; those of the environment; the pod's service account.

        Raises:
          ClusterError: a secret that no header can hold.
        """
        token, cookie = token or os.environ.get(TOKEN), cookie or os.environ.get(COOKIE)
        if token:
            return cls({"Authorization": f"Bearer {_in_one_line(token, 'token')}"}, "token")
        if cookie:
            # Dex's session cookie: authservice_session=..., or oauth2_proxy_kubeflow=...
            return cls({"Cookie": _in_one_line(cookie, "cookie")}, "cookie")
        path = Path(os.environ.get(SERVICE_ACCOUNT_TOKEN, _IN_CLUSTER))
        if path.is_file():
            return cls({}, "service account", path)
        return cls()

    def now(self) -> Mapping[str, str]:
        """Headers of a request. Raises ClusterError where the service account's token cannot be read."""
        if self.file is None:
            return self.headers
        try:
            token = self.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise ClusterError(f"{self.file} cannot be read: the service account's token") from None
        return {"Authorization": f"Bearer {_in_one_line(token, self.kind)}"}


def _in_one_line(secret: str, kind: str) -> str:
    # The HTTP library's own error would show it.
    if not (secret.strip().isascii() and secret.strip().isprintable()):
        raise ClusterError(f"the {kind} has characters that none has: give it as it was issued, in one line")
    return secret.strip()


class ClusterSession:
    """Calls one API server.

    Args:
      endpoint: https://host or http://host:port, with the path that Kubeflow is under (``/pipeline``) if there is one.
      timeout: seconds that an answer may take.

    Raises:
      ClusterError: the endpoint is no http address.
    """

    def __init__(self, endpoint: str, credentials: Credentials | None = None, timeout: float = 60.0):
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ClusterError(
                f"{parts.hostname or endpoint!r} is no endpoint: expected http://HOST:PORT or https://HOST"
            )
        self.endpoint = endpoint.rstrip("/")
        self._credentials = credentials or Credentials()
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
            # What was sent may have been done: only reading is tried again.
            retries=urllib3.Retry(2, allowed_methods=["GET"], status=0, redirect=False, backoff_factor=0.2),
        )

    def get(self, path: str, **query: str | Sequence[str] | None) -> dict[str, Any]:
        """A value that is a sequence is given as often as it has items. Raises ClusterError."""
        return self._call("GET", path, query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ClusterError."""
        return self._call(
            "POST", path, {}, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )

    def upload(self, path: str, file: Path, **query: str | None) -> dict[str, Any]:
        """Sends a file as the form field ``uploadfile``. Raises ClusterError."""
        return self._call("POST", path, query, fields={"uploadfile": (file.name, file.read_bytes())})

    def _call(
        self, method: str, path: str, query: Mapping[str, str | Sequence[str] | None], **content: Any
    ) -> dict[str, Any]:
        given = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        url = f"{self.endpoint}{_API}{path}" + (f"?{given}" if given else "")
        headers = {"Accept": "application/json", **self._credentials.now(), **content.pop("headers", {})}
        try:
            response = self._http.request(method, url, headers=headers, redirect=False, **content)
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"{self.endpoint} cannot be reached: {_reason(error)}") from None
        return self._answer(response)

    def _answer(self, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        status = response.status
        try:
            body = json.loads(response.data or b"{}")
        except ValueError:
            body = None
        if 200 <= status < 300 and isinstance(body, dict):
            return body
        message = ""
        if isinstance(body, dict):
            message = str(body.get("message") or body.get("error_message") or body.get("error") or "")
        shown = " ".join(message.split())[:300] or f"HTTP {status}"
        if status in (401, 403) or 300 <= status < 400 or (status == 200 and body is None):
            # A redirect or a page in place of JSON: somebody's sign-in page.
            raise ClusterError(f"{self.endpoint} does not let you in ({shown}): {self._advice(status)}", status)
        if status == 429 or _QUOTA.search(message):
            raise ClusterError(f"{self.endpoint} refuses for a quota: {shown}", status)
        raise ClusterError(f"{self.endpoint} refuses: {shown}", status)

    def _advice(self, status: int) -> str:
        kind = self._credentials.kind
        if kind == "none":
            return f"give a token ({TOKEN}) or Dex's cookie ({COOKIE})"
        return f"the {kind} may not do this here" if status == 403 else f"the {kind} is not valid, or no longer"


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = " ".join(str(reason).split())
    # urllib3 puts its own objects in front: <...Connection object at 0x7f>: ...
    return (
        re.sub(r"^.*object at 0x[0-9a-f]+>:\s*|^HTTPS?Connection\([^)]*\):\s*", "", text)[:200] or type(reason).__name__
    )
