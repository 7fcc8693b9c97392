"""Questions to ML Metadata, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.class_metrics import queries
from components.class_metrics.properties import CategoryFigures, figures_of, pack_figures, unpack_figures
from components.class_metrics.results import CategoryResult
from components.record import RECORD_TYPE, unpack
from modules.errors import InputError
from tests.servers import postgres_server


def _context(store: Any, kind: str, name: str) -> int:
    found = store.get_context_by_type_and_name(kind, name)
    if found:
        return found.id
    type_id = store.put_context_type(mlmd.ContextType(name=kind))
    return store.put_contexts([mlmd.Context(type_id=type_id, name=name)])[0]


def put(
    store: Any,
    run: str,
    artifact: Any,
    record: Mapping[str, str] | None = None,
    pipeline: str = "shop",
    state: Any = None,
) -> int:
    """Metrics and the record beside them with their execution, in the contexts of a run, as TFX publishes them."""
    copy = mlmd.Artifact()
    copy.CopyFrom(artifact)
    copy.type_id = store.put_artifact_type(mlmd.ArtifactType(name=queries.TYPE_NAME))
    copy.state = mlmd.Artifact.LIVE if state is None else state
    outputs = [copy]
    if record is not None:
        kind = store.put_artifact_type(mlmd.ArtifactType(name=RECORD_TYPE))
        beside = mlmd.Artifact(type_id=kind, uri="/gone", state=copy.state)
        for name, value in record.items():
            beside.custom_properties[name].string_value = value
        # Events come in no order that anybody may count on.
        outputs.insert(0, beside)
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="ClassMetrics"))
    full = store.get_contexts_by_id([_context(store, "pipeline", pipeline), _context(store, "pipeline_run", run)])
    execution = mlmd.Execution(type_id=execution_type, last_known_state=mlmd.Execution.COMPLETE)
    pairs = [(one, mlmd.Event(type=mlmd.Event.OUTPUT)) for one in outputs]
    return store.put_execution(execution, pairs, full)[1][-1]


def reuse(store: Any, run: str, artifact: int, pipeline: str = "shop") -> None:
    """A later run that takes the artifact from the cache."""
    found = store.get_artifacts_by_id([artifact])[0]
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="ClassMetrics"))
    ids = [_context(store, "pipeline", pipeline), _context(store, "pipeline_run", run)]
    execution = mlmd.Execution(type_id=execution_type, last_known_state=mlmd.Execution.CACHED)
    store.put_execution(execution, [(found, mlmd.Event(type=mlmd.Event.OUTPUT))], store.get_contexts_by_id(ids))


def measured(**f1: tuple[float, float]) -> CategoryFigures:
    """Of each category F1 with half its interval's width."""
    return CategoryFigures(
        [
            CategoryResult(
                "exclusive",
                category,
                f"Shoes > {category.capitalize()}",
                {"f1": value, "f1/lower": value - width, "f1/upper": value + width, "support": 40.0, "examples": 30.0},
            )
            for category, (value, width) in f1.items()
        ]
    )


def record(**f1: tuple[float, float]) -> dict[str, str]:
    """A record's properties with these figures."""
    return {"figures": pack_figures(measured(**f1))}


def metrics(accuracy: float, half: float = 0.02, **f1: tuple[float, float]) -> Any:
    """An artifact with an objective's figures; with ``f1`` as earlier versions wrote it, all in properties."""
    artifact = mlmd.Artifact(uri="/gone")

    def real(name: str, value: float) -> None:
        artifact.custom_properties[f"exclusive/{name}"].double_value = value

    real("accuracy", accuracy)
    real("accuracy/lower", accuracy - half)
    real("accuracy/upper", accuracy + half)
    real("weight", 400.0)
    for one in measured(**f1).categories:
        text = json.dumps({"path": one.path, **one.values})
        artifact.custom_properties[f"category/exclusive/{one.id}"].string_value = text
    artifact.custom_properties["name"].string_value = "something of TFX's own"
    return artifact


def _fill(store: Any) -> None:
    """Runs of an earlier version and of this one: the history goes on."""
    before = metrics(0.7, boots=(0.5, 0.05), sandals=(0.9, 0.05), clogs=(0.4, 0.2), mules=(0.3, 0.1))
    first = put(store, "run-1", before)
    second = record(boots=(0.7, 0.05), sandals=(0.8, 0.05), clogs=(0.5, 0.2), loafers=(0.6, 0.1))
    put(store, "run-2", metrics(0.8), second)
    put(store, "other-1", metrics(0.1), record(boots=(0.1, 0.05)), pipeline="other")
    put(store, "run-3", metrics(0.99), state=mlmd.Artifact.PENDING)
    reuse(store, "run-4", first)


def check_answers(store: Any) -> None:
    """What every database must answer."""
    latest = queries.latest_metrics(store, "shop")
    assert (latest.run, latest.reused_by, latest.pipeline) == ("run-1", ["run-4"], "shop")
    expected = {"accuracy": 0.7, "accuracy/lower": 0.68, "accuracy/upper": 0.72, "weight": 400.0}
    assert list(latest.values) == ["exclusive"] and latest.values["exclusive"] == pytest.approx(expected)
    assert [item.path for item in latest.categories] == [f"Shoes > {n}" for n in ("Boots", "Clogs", "Mules", "Sandals")]
    assert queries.run_metrics(store, "run-4") == latest
    history = queries.category_history(store, "Shoes > Boots", "shop")
    assert [(run.run, run.values["f1"]) for run in history.runs] == [("run-1", 0.5), ("run-2", 0.7)]
    assert [run.run for run in queries.category_history(store, "boots").runs] == ["run-1", "run-2", "other-1"]
    compared = queries.compare(store, "run-1", "run-2")
    assert [(c.path, round(c.difference, 6)) for c in compared.better] == [("Shoes > Boots", 0.2)]
    assert [(c.path, round(c.difference, 6)) for c in compared.worse] == [("Shoes > Sandals", -0.1)]
    assert [c.path for c in compared.uncertain] == ["Shoes > Clogs"]
    assert (compared.only_in_a, compared.only_in_b) == (["Shoes > Mules"], ["Shoes > Loafers"])
    assert [(c.figure, c.certain, c.support) for c in compared.overall] == [("accuracy", True, (400.0, 400.0))]


def test_sqlite_answers_and_reading_writes_nothing(store_uri: str) -> None:
    _fill(metadata_store.MetadataStore(queries.connection_config(store_uri)))
    before = Path(store_uri).read_bytes()
    check_answers(queries.open_store(store_uri))
    check_answers(queries.open_store(f"sqlite://{store_uri}"))
    assert Path(store_uri).read_bytes() == before


def test_answers_are_json_and_text(store_uri: str) -> None:
    _fill(metadata_store.MetadataStore(queries.connection_config(store_uri)))
    store = queries.open_store(store_uri)
    latest = queries.latest_metrics(store, "shop")
    assert json.loads(latest.to_json())["categories"][0]["values"]["f1"] == 0.5
    assert "accuracy  0.7000  (0.6800 - 0.7200)" in str(latest)
    assert "Shoes > Boots" in str(latest) and "0.45 - 0.55" in str(latest)
    history = queries.category_history(store, "boots")
    assert json.loads(history.to_json())["runs"][1]["run"] == "run-2" and "other-1" in str(history)
    compared = queries.compare(store, "run-1", "run-2")
    assert json.loads(compared.to_json())["better"][0]["path"] == "Shoes > Boots"
    assert "Better: 1" in str(compared) and "+0.200" in str(compared)
    assert "Only in run-2: Shoes > Loafers" in str(compared)


def test_a_difference_within_the_intervals_is_not_certain(store_uri: str) -> None:
    """Newcombe's interval by hand: the difference 0.1 against the root of 0.08 and 0.07 squared, 0.106."""
    store = metadata_store.MetadataStore(queries.connection_config(store_uri))
    for run, value, width in (("a", 0.5, 0.08), ("b", 0.6, 0.07), ("c", 0.6, 0.05)):
        put(store, run, metrics(value, width))
    assert [change.certain for change in queries.compare(store, "a", "b").overall] == [False]
    assert [change.certain for change in queries.compare(store, "a", "c").overall] == [True]
    assert [change.certain for change in queries.compare(store, "c", "a").overall] == [True]


def test_what_is_not_there_is_said(store_uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no ML Metadata yet; run the workflow first"):
        queries.open_store(str(tmp_path / "none.sqlite"))
    assert not (tmp_path / "none.sqlite").exists()
    writable = metadata_store.MetadataStore(queries.connection_config(store_uri))
    with pytest.raises(InputError, match="no run of 'shop' has metrics yet"):
        queries.latest_metrics(writable, "shop")
    with pytest.raises(InputError, match="no run has metrics yet"):
        queries.category_history(writable, "boots")
    _fill(writable)
    with pytest.raises(InputError, match="did you mean 'Shoes > Boots'"):
        queries.category_history(writable, "Shoe > Boot")
    with pytest.raises(InputError, match="run = 'run-9': expected a run with metrics: .*run-2"):
        queries.compare(writable, "run-1", "run-9")
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to have been one" * 30)
    with pytest.raises(InputError, match="database is damaged; the same command will not help"):
        queries.open_store(str(tmp_path / "text.sqlite"))


@pytest.mark.parametrize(
    "uri",
    [
        "oracle://x/y",
        "mysql://host",
        "postgresql:///db",
        "mysql://host/a/b",
        "grpc://host",
        "sqlite://",
        "mysql://h:x/d",
    ],
)
def test_other_addresses_are_refused_without_their_password(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        queries.connection_config(uri.replace("://h", "://me:secret@h"))
    assert "secret" not in str(caught.value)


def test_addresses_are_read() -> None:
    mysql = queries.connection_config("mysql://me:p%40ss@db.example:3307/shelf").mysql
    assert (mysql.host, mysql.port, mysql.user, mysql.password, mysql.database) == (
        "db.example", 3307, "me", "p@ss", "shelf"
    )  # fmt: skip
    postgres = queries.connection_config("postgresql://me@db.example/shelf").postgresql
    assert (postgres.host, postgres.port, postgres.user, postgres.dbname) == ("db.example", "5432", "me", "shelf")
    grpc = queries.connection_config("grpc://metadata:8080")
    assert (grpc.host, grpc.port) == ("metadata", 8080)
    assert queries.connection_config("runs/shop/metadata.sqlite").sqlite.filename_uri == "runs/shop/metadata.sqlite"


def test_figures_are_kept_to_six_digits_and_without_what_is_not_there() -> None:
    path = 'Schuhe > "Größe"'
    figures = CategoryFigures(
        [
            CategoryResult("exclusive", "a/b", path, {"f1": 0.123456789, "support": 1234567.0}),
            CategoryResult("tags", "a/b", path, {"f1": 0.5}),
            CategoryResult("tags", "c", "Schuhe", {"auc": 0.25}),
        ],
        {"exclusive": [{"path": path, "f1": None, "bound": 0.3}, {"path": "(together)", "f1": 0.0, "bound": 1.0}]},
    )
    found = unpack_figures(pack_figures(figures))
    assert [(c.objective, c.id, c.path, c.values) for c in found.categories] == [
        ("exclusive", "a/b", path, {"f1": 0.123457, "support": 1234570.0}),
        ("tags", "a/b", path, {"f1": 0.5}),
        ("tags", "c", "Schuhe", {"auc": 0.25}),
    ]
    assert found.failed == figures.failed
    assert unpack_figures(pack_figures(CategoryFigures())) == CategoryFigures()
    for damaged in ("", "no base64", pack_figures(figures)[:-40]):
        with pytest.raises(ValueError):
            unpack(damaged)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["exclusive", "tags"]),
            st.text(min_size=1),
            st.text(min_size=1),
            st.dictionaries(st.sampled_from(["f1", "auc", "support"]), st.floats(0, 1e9), min_size=1),
        ),
        unique_by=lambda row: row[:2],
    )
)
def test_whatever_is_packed_comes_back(rows: list[tuple[str, str, str, dict[str, float]]]) -> None:
    categories = [CategoryResult(*row) for row in rows]
    found = unpack_figures(pack_figures(CategoryFigures(categories))).categories
    # Objective by objective, each in its order.
    assert [(c.objective, c.id, c.path) for c in found] == [
        (c.objective, c.id, c.path)
        for name in dict.fromkeys(row[0] for row in rows)
        for c in categories
        if c.objective == name
    ]
    known = {(c.objective, c.id): c.values for c in categories}
    for one in found:
        assert one.values == pytest.approx(known[one.objective, one.id], rel=1e-5)


def test_one_run_is_read_and_not_all(store_uri: str) -> None:
    """With hundreds of runs of 20,000 categories each, reading them all takes minutes."""
    store = metadata_store.MetadataStore(queries.connection_config(store_uri))
    put(store, "run-1", metrics(0.7), {"figures": "damaged"})
    put(store, "run-2", metrics(0.8), record(boots=(0.7, 0.05)))
    assert [c.path for c in queries.latest_metrics(store, "shop").categories] == ["Shoes > Boots"]
    assert queries.run_metrics(store, "run-2").run == "run-2"
    with pytest.raises(ValueError):
        queries.run_metrics(store, "run-1")


def test_an_earlier_versions_properties_are_read() -> None:
    properties = {
        "exclusive/accuracy": 0.5,
        "category/exclusive/a/b": '{"path":"Schuhe > \\"Größe\\"","f1":0.25}',
        "failed/exclusive": '[{"path": "Hats", "f1": null, "bound": 0.5}]',
        "name": "something of TFX's own",
    }
    found = figures_of(properties, None)
    assert found.of("exclusive") == {"a/b": ('Schuhe > "Größe"', {"f1": 0.25})}
    assert found.failed == {"exclusive": [{"path": "Hats", "f1": None, "bound": 0.5}]}


def test_asking_loads_no_tensorflow(store_uri: str) -> None:
    _fill(metadata_store.MetadataStore(queries.connection_config(store_uri)))
    code = (
        "import sys; from components.class_metrics import queries; "
        f"str(queries.latest_metrics(queries.open_store({store_uri!r}))); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'tfx', 'apache_beam', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.fixture
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.mark.postgres
def test_postgresql_answers(postgres: str) -> None:
    _fill(metadata_store.MetadataStore(queries.connection_config(postgres)))
    check_answers(queries.open_store(postgres))
