"""What the server counts, without a server: connections and their bytes, files, addresses, and lines of the log."""

from __future__ import annotations

import asyncio
import io
import logging
import subprocess
import sys
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.http_server.limits import FEWEST, MOST, ConnectionLimits, source_of
from modules.http_server.log import SparingHandler
from modules.http_server.table import Table

ROOT = Path(__file__).parents[3]


@dataclass(eq=False)
class One:
    """A connection: ``waits_since`` None: it is being answered."""

    source: str
    waits_since: float | None
    trusted: bool = False
    held: int = 0
    waits_for: str = "something"
    ended: list[One] = field(default_factory=list)

    def end(self) -> None:
        self.ended.append(self)


steps = st.lists(
    st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 2000), st.integers(0, 9)), min_size=1, max_size=60
)


@given(steps, st.integers(2, 12), st.integers(1, 6))
def test_bounds_hold_and_nobody_who_is_answered_is_closed(
    steps: list[tuple[int, bool, int, int]], most: int, per_address: int
) -> None:
    async def run() -> None:
        limits = ConnectionLimits(per_address=per_address, trusted=(ip_network("10.0.0.4/32"),), held=5000)
        table, opened, ended = Table(limits, most), list[One](), list[One]()
        for moment, (host, waits, held, leaves) in enumerate(steps):
            address = f"10.0.0.{host}"
            if table.admits(address) and table.has_room():
                trusted = limits.trusts(address)
                one = One(address, float(moment) if waits else None, trusted, ended=ended)
                table.add(one)
                opened.append(one)
                table.holds(one, held)
            opened = [one for one in opened if one not in ended]
            assert table.count == len(opened) <= most
            assert table.held == sum(one.held for one in opened)
            # What is over the bound is held for those who are being answered.
            assert table.held <= limits.held or not any(one.held for one in opened if one.waits_since is not None)
            for host in range(1, 4):
                assert sum(one.source == f"10.0.0.{host}" for one in opened) <= per_address
            if opened and leaves == 0:
                table.remove(opened.pop())
        assert all(one.waits_since is not None for one in ended) and len(set(map(id, ended))) == len(ended)

    asyncio.run(run())


def test_who_has_waited_longest_of_the_address_with_the_most_makes_room() -> None:
    async def run() -> None:
        table, ended = Table(ConnectionLimits(per_address=9), 5), list[One]()
        some = [One(source, since, ended=ended) for source, since in
                [("a", 0.0), ("b", 3.0), ("b", 1.0), ("b", 2.0), ("b", None)]]  # fmt: skip
        for one in some:
            table.add(one)
        assert table.has_room()
        assert ended == [some[2]]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("::1", "::/64"),
    ],
)  # fmt: skip
def test_ipv6_is_counted_by_network(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_proxy_is_trusted_by_its_own_address() -> None:
    limits = ConnectionLimits(trusted=(ip_network("2001:db8::5/128"), ip_network("10.0.0.0/8")))
    assert limits.trusts("2001:db8::5") and limits.trusts("::ffff:10.9.9.9") and limits.trusts("10.0.0.1")
    assert not limits.trusts("2001:db8::6") and not limits.trusts("11.0.0.1") and not limits.trusts("")


def rooms(soft: int, hard: int, connections: int | None = None) -> tuple[str, int]:
    """What ``room`` says in a process of these limits, and the soft limit afterwards."""
    code = (
        "import resource, sys; from modules.http_server.limits import ConnectionLimits, room\n"
        "from modules.errors import InputError\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"try: print(room(ConnectionLimits(connections={connections})))\n"
        "except InputError as error: print(error)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    *said, after = done.stdout.splitlines()
    return "\n".join(said), int(after)


def test_connections_leave_files_for_the_application() -> None:
    small, after = rooms(128, 128)
    assert FEWEST <= int(small) <= 40 and after == 128
    assert rooms(128, 4096)[0] == str(MOST) and MOST < rooms(128, 4096)[1] < 2 * MOST
    assert rooms(4096, 4096) == (str(MOST), 4096)
    assert rooms(128, 4096, 20)[0] == "20"
    for limit, connections in ((40, None), (128, 100)):
        said, _ = rooms(limit, limit, connections)
        assert "ulimit -n" in said and "open files have to be allowed" in said


def test_repeated_lines_are_counted() -> None:
    handler = SparingHandler(per_kind=3, kinds=4)
    handler.setStream(written := io.StringIO())
    logger = logging.Logger("some")
    logger.addHandler(handler)
    for i in range(1000):
        logger.warning("closed %s", i)
    for i in range(1000):
        logger.warning(f"made of what somebody sent: {i}")
    for i in range(50):
        try:
            raise ValueError(i)
        except ValueError:
            logger.exception("it failed")
    handler.report(now=True)
    lines = [line for line in written.getvalue().splitlines() if "1" in line or "more" in line]
    assert [line for line in lines if "closed %s" in line] == ["... 997 more like this in 0 s: closed %s"]
    text = written.getvalue()
    left_out = [int(line.split()[1].replace(",", "")) for line in text.splitlines() if line.startswith("... ")]
    written_lines = sum(line.startswith(("closed ", "made ", "it failed")) for line in text.splitlines())
    assert sum(left_out) + written_lines == 2050
    assert len(text) < 3000
    logger.warning("closed again")
    assert written.getvalue().endswith("closed again\n")
