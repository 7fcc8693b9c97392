"""Who may come in: accounts, sessions, and what was done."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from labelling.store.tables import accounts, audit, sessions, sign_ins
from modules.errors import InputError, Problem

ROLES = ("labeller", "admin")
MIN_PASSWORD, MAX_PASSWORD = 10, 500
SESSION = 12 * 3600 * 1_000_000
WINDOW = 15 * 60 * 1_000_000
LIMITS = {"both": 5, "address": 30, "account": 100}
"""Failed sign-ins in 15 minutes: of an account from one address, of an address, of an account from anywhere."""


@dataclass(frozen=True)
class Session:
    """Who is signed in. ``csrf`` has to come with everything that changes something."""

    account: str
    role: str
    csrf: str


@lru_cache(maxsize=1)
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash that no password has: an unknown name costs as much time as a wrong password."""
    return str(_hasher().hash(secrets.token_hex()))


def put(connection: Connection, name: str, now: int, *, password: str | None = None, role: str | None = None) -> bool:
    """Makes an account, or changes one; whoever gets a new password is signed out everywhere.

    Returns:
      Whether it is new.

    Raises:
      InputError: name, password or role are not usable, or a new account has no password.
    """
    known = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    problems = []
    if not 0 < len(name) <= 100 or name != name.strip() or not name.isprintable():
        problems.append(Problem("", "expected 1 to 100 printable characters", key="account", value=name))
    if role is not None and role not in ROLES:
        problems.append(Problem("", f"expected one of: {', '.join(ROLES)}", key="role", value=role))
    if password is None and known is None:
        problems.append(Problem("", "a new account needs a password", key="password"))
    if password is not None and not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        expected = f"expected {MIN_PASSWORD} to {MAX_PASSWORD} characters"
        problems.append(Problem("", expected, key="password", hint="a few random words are easy to remember"))
    if problems:
        raise InputError(problems)
    values: dict[str, Any] = {"active": True}
    if password is not None:
        values["password"] = _hasher().hash(password)
        connection.execute(delete(sessions).where(sessions.c.account == name))
    if role is not None:
        values["role"] = role
    if known is not None:
        connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
    else:
        connection.execute(insert(accounts).values(name=name, time=now, **{"role": ROLES[0], **values}))
    record(connection, now, "", "account", {"name": name, "role": role, "new password": password is not None})
    return known is None


def deactivate(connection: Connection, name: str, now: int) -> bool:
    """Locks an account out at once; its labels stay. False if there is no such account."""
    changed = connection.execute(update(accounts).where(accounts.c.name == name).values(active=False))
    connection.execute(delete(sessions).where(sessions.c.account == name))
    record(connection, now, "", "account locked", {"name": name})
    return changed.rowcount > 0


def everybody(connection: Connection) -> list[Row[Any]]:
    """(name, role, active, time), sorted by name."""
    columns = (accounts.c.name, accounts.c.role, accounts.c.active, accounts.c.time)
    return list(connection.execute(select(*columns).order_by(accounts.c.name)))


def blocked(connection: Connection, name: str, address: str, now: int) -> bool:
    """Whether there were too many failed sign-ins."""
    recent = select(func.count()).select_from(sign_ins).where(sign_ins.c.time > now - WINDOW)
    of_name, of_address = sign_ins.c.account == name, sign_ins.c.address == address
    queries = {"both": recent.where(of_name, of_address), "address": recent.where(of_address)}
    queries["account"] = recent.where(of_name)
    return any((connection.scalar(query) or 0) >= LIMITS[kind] for kind, query in queries.items())


def check(connection: Connection, name: str, password: str) -> bool:
    """Whether this is the account's password; takes as long for an account that there is not."""
    from argon2.exceptions import InvalidHashError, VerificationError

    found = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    try:
        right = bool(_hasher().verify(found.password if found is not None else _nobody(), password[:MAX_PASSWORD]))
    except (VerificationError, InvalidHashError):
        return False
    return right and found is not None and found.active


def attempt(connection: Connection, name: str, address: str, now: int) -> None:
    """Notes an attempt to sign in, before its password is looked at: attempts at the same time count, too. Success
    takes it back."""
    connection.execute(delete(sign_ins).where(sign_ins.c.time < now - WINDOW))
    connection.execute(insert(sign_ins).values(account=name[:200], address=address, time=now))


def sign_in(connection: Connection, name: str, now: int, address: str) -> str:
    """Begins a session; returns its token, which only the browser keeps."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(sessions).where(sessions.c.until < now))
    row = {"token": _digest(token), "account": name, "csrf": secrets.token_urlsafe(32), "until": now + SESSION}
    connection.execute(insert(sessions).values(row))
    connection.execute(delete(sign_ins).where(sign_ins.c.account == name, sign_ins.c.address == address))
    record(connection, now, name, "signed in", {}, address)
    return token


def session(connection: Connection, token: str, now: int) -> Session | None:
    """The session of a token; None if there is none, it is over, or the account is locked."""
    query = select(accounts.c.name, accounts.c.role, sessions.c.csrf).join(
        sessions, sessions.c.account == accounts.c.name
    )
    mine = (sessions.c.token == _digest(token), sessions.c.until > now, accounts.c.active)
    found = connection.execute(query.where(*mine)).first()
    return None if found is None else Session(*found)


def sign_out(connection: Connection, token: str, now: int, account: str) -> None:
    """Ends a session."""
    connection.execute(delete(sessions).where(sessions.c.token == _digest(token)))
    record(connection, now, account, "signed out", {})


def same_text(first: str, second: str) -> bool:
    """Compares secrets in a time that says nothing about them."""
    return hmac.compare_digest(first.encode(), second.encode())


def record(
    connection: Connection, now: int, account: str, action: str, detail: Mapping[str, Any], address: str = ""
) -> None:
    """Adds to the audit log; an empty account is the command line."""
    row = {"time": now, "account": account, "address": address, "action": action, "detail": dict(detail)}
    connection.execute(insert(audit).values(row))


def audit_log(connection: Connection, *, before: int | None = None, limit: int = 100) -> list[Row[Any]]:
    """The newest entries first; ``before``: only those with a smaller id."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(query if before is None else query.where(audit.c.id < before)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def local_session(connection: Connection, annotator: str) -> Session:
    """The session of the one user on loopback: kept, so that open pages go on after the server was started again."""
    token = _digest(f"local\0{annotator}")
    csrf = connection.scalar(select(sessions.c.csrf).where(sessions.c.token == token))
    if csrf is None:
        csrf = secrets.token_urlsafe(32)
        # No time to end: sign-ins delete what is over.
        row = {"token": token, "account": annotator, "csrf": csrf, "until": (1 << 62)}
        connection.execute(insert(sessions).values(row))
    return Session(annotator, "admin", csrf)
