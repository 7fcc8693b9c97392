"""ML Metadata's gRPC service, with TLS and without, as a client of it: a real server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.class_metrics.store import connection_config, open_store
from modules.errors import InputError
from tests.kubeflow.emulator.certificates import make_certificate
from tests.kubeflow.emulator.metadata import Certificate, Metadata


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Certificate | None], str]]:
    servers = []

    def start(tls: Certificate | None) -> str:
        metadata = Metadata(tmp_path / f"{len(servers)}.sqlite")
        metadata.run("shop", "run-1", "kubeflow", "minio://root")
        server, address = metadata.serve(tls)
        servers.append(server)
        return address if tls else f"grpc://{address}"

    yield start
    for server in servers:
        server.stop(None).wait()


def test_answers_with_and_without_tls(serve: Callable[..., str], certificate: Certificate) -> None:
    for tls in (certificate, None):
        store = open_store(serve(tls))
        assert [context.name for context in store.get_contexts_by_type("system.PipelineRun")] == ["run-1"]


def test_a_server_that_is_not_trusted(serve: Callable[..., str], certificate: Certificate, tmp_path: Path) -> None:
    other = make_certificate(tmp_path)
    address = serve(certificate)
    for wrong in (address.partition("?")[0], address.replace(str(certificate.authority), str(other.authority))):
        with pytest.raises(
            InputError, match=r"^grpcs://localhost:\d+: ML Metadata cannot be opened: .*signed by an authority in"
        ) as caught:
            open_store(wrong)
        assert str(other.authority) not in str(caught.value) and len(str(caught.value).splitlines()) == 1
    # Signed by the right authority, for another host.
    elsewhere = make_certificate(tmp_path, host="metadata.example")
    with pytest.raises(InputError, match="[Hh]ostname.*a certificate that names this host"):
        open_store(serve(elsewhere))


def test_the_wrong_kind_of_server(serve: Callable[..., str], certificate: Certificate) -> None:
    plain = serve(None).removeprefix("grpc://127.0.0.1")
    with pytest.raises(InputError, match="it has to speak TLS"):
        open_store(f"grpcs://localhost{plain}?ca={certificate.authority}")
    secure = serve(certificate).removeprefix("grpcs://").partition("?")[0]
    with pytest.raises(InputError, match="one that speaks TLS is grpcs://"):
        open_store(f"grpc://{secure}")


def test_files_without_certificates(tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "key.pem").write_bytes(certificate.key)
    for name, said in (("none.pem", "No such file"), ("key.pem", "in PEM"), ("", "Is a directory")):
        with pytest.raises(InputError, match=said) as caught:
            connection_config(f"grpcs://host:1?ca={tmp_path / name}")
        assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["grpc://h:1?ca=/x", "grpcs://h:1?insecure=1", "grpcs://h:1?ca=", "grpcs://me:secret@h:1", "grpcs://h:1/secret"],
)
def test_addresses_with_more_than_is_heeded(address: str) -> None:
    with pytest.raises(InputError) as caught:
        connection_config(address)
    assert "secret" not in str(caught.value)
