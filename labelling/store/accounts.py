"""Who may come in: accounts, sessions, and what was done."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from labelling.store import names, passwords, throttle
from labelling.store.tables import accounts, audit, sessions
from modules.errors import InputError, Problem

ROLES = ("labeller", "admin")
SESSION = 12 * 3600 * 1_000_000


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
    """Makes an account, or changes one; whoever gets a new password is signed out everywhere. Wrong sign-ins of the
    account are forgotten.

    Args:
      name: a new account's is kept composed (NFC).

    Returns:
      Whether it is new.

    Raises:
      InputError: name, password or role are not usable, a new account's name looks like another's, or it has no
        password.
    """
    known = _find(connection, name)
    name = known.name if known is not None else names.written(name)
    problems = []
    if known is None:
        problems += _unusable(connection, name)
    if role is not None and role not in ROLES:
        problems.append(Problem("", f"expected one of: {', '.join(ROLES)}", key="role", value=role))
    if password is None and known is None:
        problems.append(Problem("", "a new account needs a password", key="password"))
    weak = passwords.unusable(password, name) if password is not None else None
    if weak is not None:
        problems.append(Problem("", weak[0], key="password", hint=weak[1]))
    if problems:
        raise InputError(problems)
    values: dict[str, Any] = {"active": True}
    throttle.forget_account(connection, name)
    if password is not None:
        throttle.forget_devices(connection, name)
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


def check(connection: Connection, name: str, password: str) -> str | None:
    """The name of the account that has this name and password, else None; that takes as long for an account that there
    is not."""
    from argon2.exceptions import InvalidHashError, VerificationError

    account, nobody = _find(connection, name), _nobody()
    try:
        _hasher().verify(account.password if account is not None else nobody, password[: passwords.LONGEST])
    except (VerificationError, InvalidHashError):
        return None
    return account.name if account is not None and account.active else None


def sign_in(connection: Connection, name: str, now: int, address: str, *, alone: bool = False) -> str:
    """Begins a session; returns its token, which only the browser keeps.

    Args:
      alone: whether it ends the account's other sessions.
    """
    token = secrets.token_urlsafe(32)
    over = sessions.c.until < now
    connection.execute(delete(sessions).where(over | (sessions.c.account == name) if alone else over))
    row = {"token": _digest(token), "account": name, "csrf": secrets.token_urlsafe(32), "until": now + SESSION}
    connection.execute(insert(sessions).values(row))
    record(connection, now, name, "signed in", {}, address)
    return token


def session(connection: Connection, token: str, now: int) -> Session | None:
    """The session of a token; None if there is none, it is over, or the account is locked."""
    query = select(accounts.c.name, accounts.c.role, sessions.c.csrf).join(
        sessions, sessions.c.account == accounts.c.name
    )
    mine = (sessions.c.token == _digest(token), sessions.c.until > now, accounts.c.active)
    session_row = connection.execute(query.where(*mine)).first()
    return None if session_row is None else Session(*session_row)


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


def local_session(connection: Connection, annotator: str) -> Session | None:
    """The session of the one user on loopback; None before the first one."""
    csrf = connection.scalar(select(sessions.c.csrf).where(sessions.c.token == _local(annotator)))
    return None if csrf is None else Session(annotator, "admin", csrf)


def begin_local_session(connection: Connection, annotator: str) -> Session:
    """The same, begun where there is none: kept, so that open pages go on after the server was started again."""
    session = local_session(connection, annotator)
    if session is not None:
        return session
    csrf = secrets.token_urlsafe(32)
    # No time to end: sign-ins delete what is over.
    row = {"token": _local(annotator), "account": annotator, "csrf": csrf, "until": (1 << 62)}
    connection.execute(insert(sessions).values(row))
    return Session(annotator, "admin", csrf)


def _local(annotator: str) -> str:
    return _digest(f"local\0{annotator}")


def _find(connection: Connection, name: str) -> Row[Any] | None:
    """The account of that name as it was typed, else as it is kept."""
    account = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    if account is None:
        account = connection.execute(select(accounts).where(accounts.c.name == names.written(name))).first()
    return account


def _unusable(connection: Connection, name: str) -> list[Problem]:
    """Why a new account may not have the name."""
    wrong = names.unusable(name)
    if wrong is not None:
        return [Problem("", wrong, key="account", value=name)]
    other = names.taken_for(name, connection.scalars(select(accounts.c.name).order_by(accounts.c.name)))
    if other is None:
        return []
    expected = f"people could take it for the account {other!r}"
    return [Problem("", expected, key="account", value=name, hint="choose a name that looks different")]
