"""Where the labelling server listens, and for whom."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from labelling.store import Store, accounts
from labelling.store.database import now
from labelling.web.start import LabellingOptions, check
from modules.errors import InputError
from shelfmark.cli import app
from tests.labelling import shop
from tests.labelling.serving import Annotator, serving
from tests.labelling.shop import BOOTS

PASSWORD = "correct horse battery staple"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "labels")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "cert.pem", folder / "key.pem"


def put(store: Store, name: str, role: str | None = None) -> None:
    with store.write() as connection:
        accounts.put(connection, name, now(), password=PASSWORD, role=role)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "labels.example.com"])
def test_without_accounts_only_this_machine_is_served(tmp_path: Path, host: str) -> None:
    with Store(tmp_path / "labels.sqlite") as store:
        with pytest.raises(InputError, match="needs accounts, with an admin") as caught:
            check(store, LabellingOptions(host))
        assert "shelfmark label account put NAME --role admin" in str(caught.value)
        put(store, "ann")  # a labeller is no admin
        with pytest.raises(InputError):
            check(store, LabellingOptions(host))
        put(store, "boss", "admin")
        check(store, LabellingOptions(host))
        with pytest.raises(InputError, match="under their own name"):
            check(store, LabellingOptions(host, annotator="ann"))
        with store.write() as connection:
            accounts.deactivate(connection, "boss", now())
        with pytest.raises(InputError):
            check(store, LabellingOptions(host))


@pytest.mark.parametrize(
    "place_",
    [LabellingOptions(accounts=True), LabellingOptions(certificate=Path("no.pem")),
     LabellingOptions(certificate=Path("no.pem"), key=Path("no.key")),
     LabellingOptions(image_hosts=("a.example; script-src *",)), LabellingOptions(image_hosts=("",))],
    ids=["no accounts", "no key", "no file", "policy", "empty"],
)  # fmt: skip
def test_contradictions_are_refused(tmp_path: Path, place_: LabellingOptions) -> None:
    with Store(tmp_path / "labels.sqlite") as store, pytest.raises(InputError):
        check(store, place_)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_loopback_needs_nothing(tmp_path: Path, host: str) -> None:
    with Store(tmp_path / "labels.sqlite") as store:
        check(store, LabellingOptions(host))


def test_the_program_refuses_with_a_reason(tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    Store(place).close()
    done = CliRunner().invoke(app, ["label", "serve", "--store", place, "--host", "0.0.0.0", "--port", "0"])
    assert isinstance(done.exception, InputError) and "accounts" in str(done.exception)


def test_a_plain_server_is_for_this_machine_and_its_names(tmp_path: Path) -> None:
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(2))
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        with pytest.raises(ConnectionRefusedError):
            # On every address it would answer here, too.
            socket.create_connection(("127.0.0.2", server.port), timeout=5)
        for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", "localhost"):
            assert httpx.get(server.url + "/label", headers={"host": host}).status_code == 200
        # A foreign name that points here is somebody else's page.
        for host in ("rebind.example", f"rebind.example:{server.port}", "127.0.0.1:1", "127.0.0.1.evil.example", ""):
            answer = httpx.get(server.url + "/label", headers={"host": host})
            assert answer.status_code == 421 and "p0" not in answer.text
        one = Annotator(server.url)
        one.look()
        card = one.next()
        assert card is not None
        bare = httpx.post(server.url + "/label", data={**card, "category": BOOTS})
        assert bare.status_code == 403  # also where nobody has to sign in
        assert one.say(card, BOOTS).status_code == 200


def test_with_a_certificate_passwords_and_cookies_travel_encrypted(tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    with Store(place) as store:
        put(store, "boss", "admin")
    file, key = certificate(tmp_path)
    with serving(place, "--accounts", "--certificate", str(file), "--key", str(key)) as server:
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url + "/sign-in")
        url = server.url.replace("http:", "https:")
        with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=str(file))) as http:
            answer = http.post("/sign-in", data={"name": "boss", "password": PASSWORD}, headers={"origin": url})
            assert answer.status_code == 303
            assert "Secure" in answer.headers["set-cookie"]
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert http.get("/audit").status_code == 200
