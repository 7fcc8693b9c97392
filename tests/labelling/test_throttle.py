"""What is counted of wrong sign-ins, and for whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from labelling.store import Store, accounts, throttle
from labelling.store import tables as t
from labelling.store.throttle import LIMITS, SECOND

PASSWORD = "correct horse battery staple"
NOW = 1_800_000_000 * SECOND


def guess(store: Store, name: str, address: str, time: int, device: str = "") -> float:
    """A wrong guess whose check was completed; returns the wait after it, in seconds."""
    with store.write() as connection:
        return throttle.failed(connection, throttle.lanes(connection, name, address, device, time), time)


def wait(store: Store, name: str, address: str, time: int, device: str = "") -> float:
    with store.read() as connection:
        return throttle.wait(connection, throttle.lanes(connection, name, address, device, time), time)


def welcome(store: Store, name: str, device: str, time: int, replaced: str = "") -> None:
    with store.write() as connection:
        throttle.succeeded(connection, throttle.lanes(connection, name, "192.0.2.1", replaced, time))
        throttle.remember(connection, name, device, replaced, time)


def test_an_account_is_slowed_down_from_wherever_it_is_guessed(store: Store) -> None:
    waits = [guess(store, "ann", f"198.51.100.{i}", NOW) for i in range(14)]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert wait(store, "ann", "203.0.113.1", NOW) == 60 and wait(store, "bob", "203.0.113.1", NOW) == 0
    assert wait(store, "ann", "203.0.113.1", NOW + 59 * SECOND) == 1
    assert wait(store, "ann", "203.0.113.1", NOW + 60 * SECOND) == 0
    # However the name is encoded; and a clock that goes back makes no wait longer.
    assert [guess(store, "e\u0301ve", "198.51.100.1", NOW) for _ in range(6)][-1] == 1
    assert wait(store, "\u00e9ve", "203.0.113.1", NOW - 3600 * SECOND) == 1


def test_an_address_is_slowed_down_but_nobody_behind_it_waits_long(store: Store) -> None:
    waits = [guess(store, f"n{i}", "192.0.2.1", NOW) for i in range(300)]
    assert waits[:50] == [0] * 50 and waits[50] == 0.5 and waits == sorted(waits) and max(waits) == 4
    assert wait(store, "new", "192.0.2.1", NOW) == 4 and wait(store, "new", "192.0.2.2", NOW) == 0
    # A right password of one account does not wipe out the guesses of the others.
    welcome(store, "mine", "token", NOW)
    assert wait(store, "new", "192.0.2.1", NOW) == 4
    for i in range(60):
        guess(store, f"m{i}", f"2001:db8:0:7::{i:x}", NOW)
    assert wait(store, "new", "2001:db8:0:7:ffff::1", NOW) > 0 and wait(store, "new", "2001:db8:0:8::1", NOW) == 0
    assert throttle.address_key("::ffff:192.0.2.1") == "192.0.2.1"


def test_failures_fade(store: Store) -> None:
    for _ in range(20):
        guess(store, "ann", "192.0.2.1", NOW)
    later = NOW + 30 * 60 * SECOND  # ten of twelve
    assert [guess(store, "ann", "192.0.2.1", later) for _ in range(4)] == [0, 0, 0, 1]
    guess(store, "bob", "192.0.2.1", later + throttle.KEPT + SECOND)
    with store.read() as connection:
        assert set(connection.scalars(select(t.sign_in_failures.c.key))) == {"bob", "192.0.2.1"}


def test_a_browser_that_signed_in_before_is_not_kept_out_by_strangers(store: Store) -> None:
    welcome(store, "ann", "hers", NOW)
    for _ in range(20):
        guess(store, "ann", "192.0.2.1", NOW)
    assert wait(store, "ann", "192.0.2.1", NOW) == 60 and wait(store, "ann", "192.0.2.1", NOW, "hers") == 0
    # It is counted itself, and is none of another account, too old, or made up.
    assert [guess(store, "ann", "192.0.2.1", NOW, "hers") for _ in range(6)][-1] == 1
    assert wait(store, "ann", "192.0.2.1", NOW, "forged") == 60
    for _ in range(9):
        guess(store, "bob", "192.0.2.1", NOW)
    assert wait(store, "bob", "198.51.100.1", NOW, "hers") == 8
    # After a right password it starts anew, with another token; the strangers' count stays.
    welcome(store, "ann", "newer", NOW, "hers")
    assert wait(store, "ann", "192.0.2.1", NOW, "newer") == 0
    assert wait(store, "ann", "192.0.2.1", NOW, "hers") == wait(store, "ann", "192.0.2.1", NOW) == 60
    with store.read() as connection:
        old = throttle.lanes(connection, "ann", "192.0.2.1", "newer", NOW + throttle.DEVICE_LIFETIME)
    assert [kind for kind, _ in old] == ["account", "address"]


def test_an_administrator_lets_in_again_and_a_new_password_forgets_browsers(store: Store) -> None:
    with store.write() as connection:
        accounts.put(connection, "ann", NOW, password=PASSWORD)
    welcome(store, "ann", "hers", NOW)
    for device in ("", "hers"):
        for _ in range(20):
            guess(store, "ann", "192.0.2.1", NOW, device)
    with store.write() as connection:
        accounts.put(connection, "ann", NOW, role="admin")
    assert wait(store, "ann", "203.0.113.1", NOW) == wait(store, "ann", "203.0.113.1", NOW, "hers") == 0
    with store.write() as connection:
        accounts.put(connection, "ann", NOW, password=PASSWORD + " 2")
        assert [kind for kind, _ in throttle.lanes(connection, "ann", "x", "hers", NOW)] == ["account", "address"]


def test_what_is_kept_is_bounded(store: Store) -> None:
    for i in range(throttle.DEVICES + 5):
        welcome(store, "ann", f"d{i}", NOW + i)
    guess(store, "x" * 60_000, "y" * 60_000, NOW)
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(t.devices)) == throttle.DEVICES
        assert max(connection.scalars(select(func.length(t.sign_in_failures.c.key)))) == throttle.KEY_LENGTH
        newest = f"d{throttle.DEVICES + 4}"
        assert throttle.lanes(connection, "ann", "", newest, NOW + 99)[0][0] == "device"


@given(st.sampled_from(sorted(LIMITS)), st.integers(0, 10**9))
def test_waits_grow_to_a_bound(kind: throttle.Kind, failures: int) -> None:
    limit = LIMITS[kind]
    assert 0 <= limit.wait(failures) <= limit.wait(failures + 1) <= limit.longest
    assert limit.wait(limit.most) == limit.longest and limit.wait(limit.free) == 0


def test_a_store_that_counted_attempts_is_brought_up_to_date(place: str) -> None:
    with Store(place) as store, store.write() as connection:
        accounts.put(connection, "ann", NOW, password=PASSWORD)
        for table in ("sign_in_failures", "devices", "suggestion_requests", "relabelled", "taxonomy_migrations"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("ALTER TABLE labels DROP COLUMN confidence"))
        connection.execute(text("CREATE TABLE sign_ins (id INTEGER, account TEXT, address TEXT, time BIGINT)"))
        connection.execute(text("CREATE INDEX ix_sign_ins_time ON sign_ins (time)"))
        for _ in range(99):
            connection.execute(text(f"INSERT INTO sign_ins VALUES (1, 'ann', '192.0.2.1', {NOW})"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    with Store(place) as store:
        assert wait(store, "ann", "192.0.2.1", NOW) == 0
        with store.read() as connection:
            assert accounts.check(connection, "ann", PASSWORD) == "ann"


@pytest.mark.parametrize("alone", [False, True])
def test_older_sessions_end_at_sign_in_if_that_is_set(store: Store, alone: bool) -> None:
    with store.write() as connection:
        for name in ("ann", "bob"):
            accounts.put(connection, name, NOW, password=PASSWORD)
        old, others = (accounts.sign_in(connection, name, NOW, "") for name in ("ann", "bob"))
        new = accounts.sign_in(connection, "ann", NOW, "", alone=alone)
        found = [accounts.session(connection, token, NOW) for token in (old, others, new)]
    assert [one is not None for one in found] == [not alone, True, True]
