"""What every target promises: after each publication it has what was predicted, each change once, and nothing else."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import mysql

from modules.errors import InputError
from modules.predictions.documents import Document
from publishing.log import PublicationLog
from publishing.publish import Stopped
from publishing.targets import TARGETS, target_for
from publishing.targets import database as databases
from publishing.targets.base import Options, Refused, Target
from publishing.targets.database import DatabaseTarget
from publishing.targets.folder import FolderTarget
from publishing.targets.kafka import KafkaTarget
from publishing.targets.opensearch import OpenSearchTarget
from publishing.targets.parquet import ParquetTarget
from publishing.targets.rabbitmq import RabbitTarget
from publishing.targets.webhook import WebhookTarget
from tests.kafka_server import KafkaBroker
from tests.opensearch_server import SearchServer
from tests.publishing import shop
from tests.publishing.shop import State, answers, expected, predict, publish_to, rounded
from tests.rabbitmq import Broker
from tests.servers import mysql_server, postgres_server


@dataclass
class Place:
    """Makes targets anew, as each call of the command does, and reads what has arrived."""

    kind: type[Target]
    address: str
    options: Options
    receiver: Any = None

    def target(self) -> Target:
        return target_for(self.address, self.options)

    def state(self) -> State:
        if self.receiver is not None:
            return dict(self.receiver.state)
        if self.kind is FolderTarget:
            state: State = {}
            for file in sorted(Path(self.address).glob("*.jsonl")):
                shop.apply(state, [json.loads(line) for line in file.read_text("utf-8").splitlines()])
            return state
        if self.kind is ParquetTarget:
            return self._of_parquet()
        engine = create_engine(self.target()._url)  # type: ignore[attr-defined]
        with engine.connect() as connection:
            rows = connection.execute(text("select * from shelfmark_products")).mappings().all()
        engine.dispose()
        for row in rows:
            check_columns(row)
        return {row["id"]: json.loads(row["document"]) for row in rows}

    def _of_parquet(self) -> State:
        state: State = {}
        for file in sorted(Path(self.address.removeprefix("parquet://")).glob("*.parquet")):
            rows = pq.read_table(file).to_pylist()
            for row in rows:
                assert row["deleted"] == json.loads(row["document"]).get("deleted", False)
                check_columns(row)
            shop.apply(state, [json.loads(row["document"]) for row in rows])
        return state


def check_columns(row: Any) -> None:
    """Columns beside the document say the same as the document."""
    document = json.loads(row["document"])
    answer = document.get("objectives", {}).get("exclusive", {})
    assert (row["id"], row["version"], row["retailer"]) == (
        document["id"], document["version"], document.get("retailer")
    )  # fmt: skip
    assert (row["category_id"], row["category"]) == (answer.get("category_id"), answer.get("category"))
    assert row["probability"] == pytest.approx(answer.get("probability"), abs=1e-6)


@dataclass
class Index:
    """What a search server has."""

    server: SearchServer
    index: str

    @property
    def state(self) -> State:
        return self.server.documents(self.index)


class Consumer:
    """What a consumer of a queue keeps of its messages."""

    def __init__(self, broker: Broker, queue: str):
        self._broker, self._queue = broker, queue
        self._state: State = {}

    @property
    def state(self) -> State:
        shop.apply(self._state, [json.loads(body) for _, body in self._broker.take(self._queue)])
        for document in self._state.values():
            document.pop("@timestamp", None), document.pop("@version", None)
        return self._state


@dataclass
class Reader:
    """What a reader of a topic keeps of its messages."""

    broker: KafkaBroker
    topic: str

    @property
    def state(self) -> State:
        state: State = {}
        shop.apply(state, [json.loads(message.value()) for message in self.broker.messages(self.topic)])
        for document in state.values():
            document.pop("@timestamp"), document.pop("@version")
        return state


SERVERS = {
    "rabbitmq": pytest.mark.rabbitmq,
    "opensearch": pytest.mark.opensearch,
    "kafka": pytest.mark.kafka,
    "postgresql": pytest.mark.postgres,
    "mysql": pytest.mark.mysql,
}
KINDS = ["folder", "parquet", "sqlite", "webhook", *(pytest.param(name, marks=mark) for name, mark in SERVERS.items())]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    servers = {"postgresql": postgres_server, "mysql": mysql_server}
    if request.param == "folder":
        yield Place(FolderTarget, str(tmp_path / "out"), Options())
    elif request.param == "parquet":
        yield Place(ParquetTarget, f"parquet://{tmp_path / 'out'}", Options())
    elif request.param == "rabbitmq":
        broker, name = request.getfixturevalue("broker"), tmp_path.name
        broker.queue(name)
        monkeypatch.setenv("SHOP_BROKER", f"{broker.url}?routing_key={name}")
        yield Place(RabbitTarget, "env:SHOP_BROKER", Options(), Consumer(broker, name))
    elif request.param == "opensearch":
        server, index = request.getfixturevalue("search_server"), tmp_path.name.lower()
        yield Place(OpenSearchTarget, server.address(index), Options(), Index(server, index))
    elif request.param == "kafka":
        kafka = request.getfixturevalue("kafka")
        topic = kafka.topic(tmp_path.name)
        yield Place(KafkaTarget, kafka.address(topic), Options(), Reader(kafka, topic))
    elif request.param == "webhook":
        with shop.receiver() as receiver:
            options = Options(secret=shop.SECRET.encode(), allow_private=True)
            yield Place(WebhookTarget, receiver.url, options, receiver)
    elif request.param == "sqlite":
        yield Place(DatabaseTarget, f"sqlite:///{tmp_path / 'shop.sqlite'}", Options())
    else:
        with servers[request.param]() as url:
            if request.param == "postgresql":
                with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
                    connection.execute("create database shelf")
            monkeypatch.setenv("SHOP_DATABASE", url)
            yield Place(DatabaseTarget, "env:SHOP_DATABASE", Options())


def test_every_kind_is_tried_here() -> None:
    assert {
        FolderTarget,
        ParquetTarget,
        DatabaseTarget,
        WebhookTarget,
        RabbitTarget,
        OpenSearchTarget,
        KafkaTarget,
    } == set(TARGETS.builtin.values())


@pytest.mark.parametrize("parallel", [1, 3])
def test_what_changed_and_nothing_else(place: Place, tmp_path: Path, parallel: int) -> None:
    folder, log = tmp_path / "predictions", tmp_path / "log.sqlite"

    def published(rows: shop.Rows, **way: Any) -> tuple[int, ...]:
        counts = publish_to(place.target(), folder, log, parallel=parallel, many_gone=True, **way)
        assert answers(place.state()) == rounded(expected(rows))
        return counts.new, counts.changed, counts.same, counts.sent, counts.removed

    rows = predict(folder, {"train": 40, "test": 20})
    assert published(rows) == (60, 0, 0, 60, 0)
    assert published(rows) == (0, 0, 60, 0, 0)
    # Of the same numbers, the first split's products stay, and each of the second's changes.
    rows = predict(folder, {"train": 40, "test": 26})
    assert published(rows) == (6, 20, 40, 26, 0)
    rows = predict(folder, {"train": 40})
    assert published(rows) == (0, 0, 40, 0, 26)
    assert published(rows, everything=True) == (0, 0, 40, 40, 0)
    # A log that was lost costs work, and doubles nothing.
    log.unlink()
    assert published(rows) == (40, 0, 0, 40, 0)


def test_what_comes_late_or_twice_changes_nothing(place: Place, tmp_path: Path) -> None:
    predict(tmp_path, {"train": 5})
    newer = [d for batch in shop.documents(tmp_path, 20).batches() for d in batch]
    predict(tmp_path, {"train": 5}, seed=1)
    older = [d for batch in shop.documents(tmp_path, 10).batches() for d in batch]
    for version, batch in ((20, newer), (21, older), (22, newer), (23, [shop_removal(older[0], 19)])):
        target = place.target()
        target.start(version)
        target.send(batch)
        target.finish()
    assert place.state() == {document.id: document.values for document in newer}


def shop_removal(document: Document, version: int) -> Document:
    return Document(document.id, {"id": document.id, "version": version, "deleted": True}, None)


def test_a_name_for_files_holds_no_secret(place: Place) -> None:
    target = place.target()
    for part in ("3f9a7c", "2b8d", "wood", shop.SECRET):
        assert part not in target.name and part not in target.slug
    assert target.slug == place.target().slug and set(target.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_ids_that_differ_in_case_alone_are_different_products(place: Place) -> None:
    made = [_document(name) for name in ("boots", "Boots", "böots", "x" * 400, "o'clock", "% s", "日本")]
    target = place.target()
    target.start(1)
    target.send(made)
    target.finish()
    assert place.state() == {document.id: document.values for document in made}


def _document(name: str, version: int = 1) -> Document:
    answer = {"category_id": "c", "category": "Füße > 🥾", "probability": 0.5}
    return Document(name, {"id": name, "version": version, "retailer": "r", "objectives": {"exclusive": answer}}, b"d")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://shop:hunter22@db/shop", "no password or parameter on the command line"),
        ("mysql://db/shop?ssl_key=hunter22", "no password or parameter on the command line"),
        ("postgres://shop@db", "expected an address like"),
        ("carrier://hunter22", r"carrier://…: expected a folder, or an address that begins with parquet://"),
        ("https://user:hunter22@shop.example/", "without a user's name in it"),
        ("http://hunter22.example/x", "would travel unencrypted"),
        ("https://shop.example/hunter22", "expected a secret that signs"),
        # An unset variable of a script must not publish to the folder that it stands in.
        ("", "expected a folder; nothing is named"),
        ("parquet://", "expected a folder; nothing is named"),
        ("env:NOT_SET", "NOT_SET"),
        ("file:/nowhere", "/nowhere: TARGET: expected a file with a secret"),
    ],
)
def test_addresses_that_cannot_be_used_are_told_without_their_secrets(address: str, words: str) -> None:
    secret = None if "secret" in words and "https" in address else shop.SECRET.encode()
    with pytest.raises(InputError) as caught:
        target_for(address, Options(secret=secret))
    said = str(caught.value)
    assert words.replace("\\", "") in said.replace("'", "") or words in said
    assert "hunter22" not in said or address.startswith("http://")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("")
    with pytest.raises(InputError, match="expected a folder; this is a file"):
        target_for(str(tmp_path / "x.jsonl"), Options())


def test_an_address_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("postgresql://shop:hunter22@db:5433/shop?sslmode=require\n")
    target = target_for(f"file:{tmp_path / 'address'}", Options())
    assert target.name == "postgresql://db:5433/shop, table shelfmark_products"


def test_a_part_that_a_kill_left_is_shown_before_the_next_file(tmp_path: Path) -> None:
    line = b'{"id":"a","version":5}\n'
    for name, data in (("5", line * 9000 + b'{"id":"b","ver'), ("6", b'{"id'), ("7", b"")):
        (tmp_path / f"products-{name}.jsonl.part").write_bytes(data)
    target = FolderTarget(str(tmp_path), Options(), False)
    target.start(8)
    target.finish()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"products-5.jsonl": line * 9000}


def test_a_row_that_a_database_cannot_hold_is_a_dead_letter(tmp_path: Path) -> None:
    folder, log, file = tmp_path / "p", tmp_path / "log.sqlite", tmp_path / "shop.sqlite"
    rows = predict(folder, {"train": 20})
    with closing(sqlite3.connect(file)) as database:
        columns = "version bigint, retailer text, category_id text, category text, probability real, document text"
        database.execute(f"create table shelfmark_products (id text primary key check (id <> 'train-13'), {columns})")
        database.commit()
    counts = publish_to(target_for(f"sqlite:///{file}", Options()), folder, log)
    assert (counts.sent, counts.refused) == (19, 1)
    with PublicationLog(log, "x") as opened:
        (letter,) = opened.dead_letters()
        assert letter.id == "train-13" and "CHECK constraint failed" in letter.reason and letter.status is None
        assert set(opened.digests([row["id"] for row in rows])) == {row["id"] for row in rows} - {"train-13"}


def test_a_table_of_another_form_stops_at_once(tmp_path: Path) -> None:
    predict(tmp_path / "p", {"train": 3})
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database:
        database.execute("create table shelfmark_products (name text)")
    with pytest.raises(Stopped) as caught:
        publish_to(target_for(f"sqlite:///{tmp_path / 'shop.sqlite'}", Options()), tmp_path / "p", tmp_path / "log")
    assert "no column named" in str(caught.value) or "has no column" in str(caught.value)


@pytest.mark.parametrize("backend", ["mysql", "mariadb"])
def test_mysql_compares_all_columns_with_the_version_of_before(backend: str) -> None:
    statement = str(databases.upsert(databases._table("t"), backend).compile(dialect=mysql.dialect()))
    is_newer = "CASE WHEN (t.version <= VALUES(version)) THEN"
    assert statement.count(is_newer) == 6
    assert statement.rstrip().endswith(f"version = {is_newer} VALUES(version) ELSE t.version END")


def test_a_refusal_is_told_from_an_outage(tmp_path: Path) -> None:
    target = target_for(f"sqlite:///{tmp_path / 'shop.sqlite'}", Options())
    target.start(1)
    wrong = _document("a")
    with pytest.raises(Refused, match="NOT NULL constraint failed"):
        target.send([Document("a", {**wrong.values, "version": None}, b"d")])
    target.finish()


@pytest.mark.parametrize(
    ("package", "address", "extra"),
    [
        ("pika", "amqps://host/?routing_key=q", "rabbitmq"),
        ("opensearchpy", "opensearch://host/index", "opensearch"),
        ("confluent_kafka", "kafka://host/topic", "kafka"),
    ],
)
def test_a_client_library_that_is_not_there_is_named(
    package: str, address: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'shelfmark\[{extra}\]'"):
        target_for(address, Options())
