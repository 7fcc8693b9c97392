"""Who may ask for what: named tokens, of which only the SHA-256 hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.errors import InputError, Problem, Problems, did_you_mean, reason

SCOPES = ("classify", "read", "similar")
MAX_NAME = 100
_MAX_FILE = 1 << 20


@dataclass(frozen=True)
class Client:
    """Somebody with a token.

    Attributes:
      name: for people; unique in its file. scopes: of :data:`SCOPES`. digest: the token's SHA-256, 32 bytes.
    """

    name: str
    scopes: frozenset[str]
    digest: bytes

    @classmethod
    def of(cls, token: str) -> Client:
        """The only client of a server with one token, who may ask for everything."""
        return cls("", frozenset(SCOPES), _digest(token))


class Clients:
    """All who may ask."""

    def __init__(self, clients: Iterable[Client]):
        self._clients = tuple(clients)

    def of_token(self, token: str) -> Client | None:
        """The client with this token.

        A SHA-256 of what was sent is compared, in constant time and with every client, so that the time of the answer
        tells neither a token nor whose it nearly is.
        """
        digest = _digest(token)
        known = None
        for client in self._clients:
            if hmac.compare_digest(client.digest, digest):
                known = client
        return known


class FileClients(Clients):
    """All who may ask, as a file says in lines ``NAME SCOPE,SCOPE SHA-256``; blank lines and comments (``#``) are
    passed over. A change of the file counts from :meth:`load` on.

    Raises:
      InputError: The file cannot be read, or a line is wrong.
    """

    def __init__(self, file: Path):
        self._file = file
        self._state: tuple[int, ...] = ()
        self.load()

    def load(self) -> bool:
        """Reads the file anew, if it has changed; False if it has not.

        Raises:
          InputError: The file cannot be read, or a line is wrong; who was there before still may ask. A server does not
            start with a file without tokens; one that loses its last line while it runs has revoked all.
        """
        state = _state_of(self._file)
        if state == self._state:
            return False
        clients = _lines(self._file)
        if not clients and not self._state:
            hint = "make one: shelfmark serve token NAME --scope read --tokens FILE"
            raise InputError(Problem(str(self._file), "expected at least one token; the file has none", hint=hint))
        super().__init__(clients)
        self._state = state
        return True


def _state_of(file: Path) -> tuple[int, ...]:
    """Another one after each change of the file."""
    try:
        status = file.stat()
    except OSError:
        return (-1,)  # Reading it will say what is wrong.
    return status.st_mtime_ns, status.st_size, status.st_ino


def add_client(file: Path, name: str, scopes: Sequence[str]) -> str:
    """Makes a token, and adds its hash to the file, which only its owner may read.

    Returns:
      The token, which is kept nowhere.

    Raises:
      InputError: The name is taken or unusable, a scope does not exist, or the file cannot be written.
    """
    if not name.isprintable() or not name or len(name) > MAX_NAME or " " in name or name.startswith("#"):
        expected = f"expected a name of at most {MAX_NAME} characters without spaces"
        raise InputError(Problem("", expected, key="NAME", value=name))
    _check_scopes(scopes, Problem("", "", key="--scope"))
    known = _lines(file) if file.exists() else []
    if name in (client.name for client in known):
        hint = "remove its line from the file first; what had the old token is then refused"
        raise InputError(Problem(str(file), "this name has a token already", key="NAME", value=name, hint=hint))
    token = secrets.token_urlsafe(32)
    line = f"{name} {','.join(sorted(set(scopes)))} {_digest(token).hex()}\n"
    try:
        # A line that somebody wrote by hand may have no end.
        before = file.read_bytes() if file.exists() else b""
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as stream:
            stream.write((b"\n" if before and not before.endswith(b"\n") else b"") + line.encode())
    except OSError as error:
        raise InputError(Problem(str(file), f"expected a file that can be written: {reason(error)}")) from None
    return token


def _lines(file: Path) -> list[Client]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE + 1)
        if len(content) > _MAX_FILE:
            raise InputError(Problem(str(file), f"expected a file of at most {_MAX_FILE:,} bytes"))
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(file), f"expected a file with tokens' hashes: {reason(error)}")) from None
    clients: dict[str, Client] = {}
    problems = Problems()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            client = _client(line, Problem(str(file), "", number))
            if client.name in clients:
                raise InputError(Problem(str(file), "this name stands in an earlier line", number, value=client.name))
            clients[client.name] = client
        except InputError as error:
            for problem in error.problems:
                problems.add(problem)
    if len(problems):
        raise InputError(problems)
    return list(clients.values())


def _client(line: str, place: Problem) -> Client:
    parts = line.split()
    try:
        name, scopes, digest = parts
        hashed = bytes.fromhex(digest)
        if len(hashed) != hashlib.sha256().digest_size:
            raise ValueError
    except ValueError:
        # The line may hold a token by mistake, so it is not shown.
        expected = "expected NAME SCOPE,SCOPE HASH, where HASH is a SHA-256 in 64 hexadecimal digits"
        hint = "shelfmark serve token NAME --scope read --tokens FILE writes such a line"
        raise InputError(Problem(place.file, expected, place.line, hint=hint)) from None
    _check_scopes(scopes.split(","), place)
    return Client(name, frozenset(scopes.split(",")), hashed)


def _check_scopes(scopes: Sequence[str], place: Problem) -> None:
    for scope in scopes:
        if scope not in SCOPES:
            expected = f"expected a scope: {', '.join(SCOPES)}"
            raise InputError(Problem(place.file, expected, place.line, place.key, scope, did_you_mean(scope, SCOPES)))
    if not scopes:
        raise InputError(
            Problem(place.file, f"expected at least one scope: {', '.join(SCOPES)}", place.line, place.key)
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
