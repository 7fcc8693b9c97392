"""Images from real servers on loopback: what they may do, and what is made of it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from modules.images import outcome
from modules.images.addresses import checked_addresses, is_public
from modules.images.http import WebImages
from modules.images.outcome import ImageError
from modules.images.references import WebAddress, parse
from modules.settings.images import ImageSettings
from tests.modules.images.pictures import Server, encoded, in_turn, noise, serving, status

JPEG = encoded(noise(40, 30))
LIMIT = 100_000


def settings(server: Server, **more: Any) -> ImageSettings:
    fields: dict[str, Any] = {
        "hosts": ("*",), "ports": (server.port,), "allow_private": True, "max_bytes": LIMIT, "connect_timeout": 2.0,
        "read_timeout": 2.0, "deadline": 5.0,
    }  # fmt: skip
    return ImageSettings(**{**fields, **more})


@contextmanager
def web(server: Server, resolve: Any = None, tls: Any = None, public: Any = None, **more: Any) -> Iterator[Any]:
    """A function from a path to what :class:`WebImages` makes of it: bytes or a reason."""
    chosen = settings(server, **more)
    options = {"resolve": resolve, "tls": tls, "public": public}
    images = WebImages(chosen, pause=0.01, **{name: value for name, value in options.items() if value is not None})

    def get(path: str, host: str | None = None) -> bytes | str:
        try:
            address = parse(path if "://" in path else server.url(path, host), chosen)
            assert isinstance(address, WebAddress)
            return images.fetch(address)
        except ImageError as error:
            return error.reason

    yield get
    images.close()


def body(*parts: bytes, length: int | None = None, pause: Callable[[], object] = lambda: None) -> Any:
    """An answer that is sent piece by piece; ``length``: what it claims to have."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            pause()

    return answer


def test_an_image_and_its_absence() -> None:
    answers = {"/a.jpg": status(200, JPEG), "/gone": status(410), "/no": status(403), "/odd": status(204)}
    with serving(answers) as server, web(server) as get:
        assert get("/a.jpg?size=1") == JPEG
        assert get("/none.jpg") == get("/gone") == outcome.NOT_FOUND
        assert get("/no") == outcome.HTTP_4XX
        assert get("/odd") == outcome.UNREACHABLE
        assert {host for _, host in server.seen} == {f"127.0.0.1:{server.port}"}


def test_retries_what_may_pass_and_nothing_else() -> None:
    answers = {
        "/later": in_turn(status(503), status(500), status(200, JPEG)),
        "/busy": in_turn(status(429, Retry_After="0"), status(200, JPEG)),
        "/never": status(500),
        "/forbidden": status(401),
        "/cut": in_turn(body(JPEG[:100], length=len(JPEG)), status(200, JPEG)),
    }
    with serving(answers) as server, web(server, retries=2) as get:
        assert get("/later") == get("/busy") == get("/cut") == JPEG
        assert get("/never") == outcome.HTTP_5XX
        assert get("/forbidden") == outcome.HTTP_4XX
        assert [server.count(path) for path in answers] == [3, 2, 3, 1, 2]


def test_a_host_that_asks_for_more_time_than_there_is_is_not_waited_for() -> None:
    with serving({"/": status(503, Retry_After="3600")}) as server, web(server) as get:
        assert get("/") == outcome.HTTP_5XX
        assert server.count("/") == 1


@pytest.mark.parametrize(
    "wait", ["", "soon", "-1", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Foo 99999999999 00:00:00 GMT",
             "٣", "\xb2", "0" * 5000],
)  # fmt: skip
def test_an_odd_time_to_wait_is_no_reason_to_give_up(wait: str) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 429 Busy\r\nRetry-After: {wait}\r\nContent-Length: 0\r\n\r\n".encode())

    with serving({"/": in_turn(busy, status(200, JPEG))}) as server, web(server) as get:
        assert get("/") == JPEG


def test_bytes_are_limited_whatever_the_header_says() -> None:
    block = b"x" * 50_000
    answers = {
        "/announced": body(length=LIMIT + 1),
        "/endless": body(*[block] * 100),
        "/lies": body(*[block] * 100, length=10),
        "/fits": status(200, b"y" * LIMIT),
    }
    with serving(answers) as server, web(server) as get:
        assert get("/announced") == get("/endless") == outcome.TOO_LARGE
        assert get("/lies") == block[:10]
        assert get("/fits") == b"y" * LIMIT


def test_a_drip_ends_at_the_deadline() -> None:
    over = threading.Event()
    drip = body(*[b"x"] * 1000, pause=lambda: over.wait(0.05))
    with serving({"/": drip}) as server, web(server, deadline=0.5, read_timeout=5.0) as get:
        started = time.monotonic()
        assert get("/") == outcome.TIMEOUT
        assert time.monotonic() - started < 4.0  # the drip would take 50 seconds
        over.set()


def test_silence_ends_at_the_read_timeout() -> None:
    over = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        over.wait(20)
        handler.close_connection = True

    with serving({"/": silent}) as server, web(server, read_timeout=0.2, retries=0) as get:
        assert get("/") == outcome.TIMEOUT
        over.set()


def test_redirects_are_followed_and_counted() -> None:
    answers = {
        "/one": status(301, Location="/two"),
        "/two": status(307, Location="/a.jpg"),
        "/a.jpg": status(200, JPEG),
        "/loop": status(302, Location="/loop"),
        "/file": status(302, Location="file:///etc/passwd"),
        "/gopher": status(302, Location="gopher://127.0.0.1/"),
        "/user": status(302, Location="http://me:secret@127.0.0.1/"),
        "/other-port": status(302, Location="http://127.0.0.1:1/"),
    }
    with serving(answers) as server, web(server) as get:
        assert get("/one") == JPEG
        assert get("/loop") == outcome.TOO_MANY_REDIRECTS
        for path in ("/file", "/gopher", "/user", "/other-port"):
            assert get(path) == outcome.NOT_ALLOWED, path


def test_a_redirect_leads_to_allowed_hosts_alone() -> None:
    answers = {"/": status(302, Location="http://evil.example/a.jpg")}
    with serving(answers) as server:
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        with web(server, resolve=resolve, hosts=("shop.example", "*.cdn.example")) as get:
            assert get("/", "shop.example") == get("/", "a.cdn.example") == outcome.NOT_ALLOWED
            assert get("/", "cdn.example") == get("/", "shop.example.evil.example") == outcome.NOT_ALLOWED
        assert set(asked) == {"shop.example", "a.cdn.example"}


def test_private_addresses_are_not_connected_to() -> None:
    with serving({"/": status(200, JPEG)}) as server, web(server, allow_private=False) as get:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
            assert get("/", host) in (outcome.PRIVATE_ADDRESS, outcome.UNREACHABLE), host
        assert server.seen == []


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "shop.example" else ["127.0.0.2"]

    with serving({"/": status(200, JPEG)}, host="127.0.0.2") as inner:
        answers = {"/a": status(302, Location=f"http://inner.example:{inner.port}/")}
        with serving(answers) as server:
            ports = (server.port, inner.port)
            # 127.0.0.1 stands for a public address here, 127.0.0.2 for one of the inner network.
            public = "127.0.0.1".__eq__
            with web(server, resolve=resolve, public=public, allow_private=False, ports=ports) as get:
                assert get("/a", "shop.example") == outcome.PRIVATE_ADDRESS
            assert server.count("/a") == 1 and inner.seen == []


def test_a_second_lookup_cannot_lead_elsewhere() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]])
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with serving({"/": status(200, JPEG)}) as server:
        with web(server, resolve=resolve, public="127.0.0.1".__eq__, allow_private=False) as get:
            assert get("/", "shop.example") == get("/", "shop.example") == JPEG
        assert asked == ["shop.example"]
        assert {host for _, host in server.seen} == {f"shop.example:{server.port}"}


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(ImageError, match=outcome.PRIVATE_ADDRESS):
        checked_addresses("shop.example", 80, lambda host, port: ["1.1.1.1", "10.0.0.1"])
    assert checked_addresses("shop.example", 80, lambda host, port: ["1.1.1.1", "2606:4700::1111"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1", "2001:0:7f00:1::", "nonsense", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2001:4860:4860::8888"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("ftp://shop.example/a.jpg", outcome.NOT_ALLOWED), ("file:///etc/passwd", outcome.NOT_ALLOWED),
        ("data:image/png;base64,AAAA", outcome.NOT_ALLOWED), ("javascript:alert(1)", outcome.NOT_ALLOWED),
        ("http://other.example/a.jpg", outcome.NOT_ALLOWED), ("http://u:p@shop.example/a.jpg", outcome.NOT_ALLOWED),
        ("http://shop.example:8080/a.jpg", outcome.NOT_ALLOWED), ("http://", outcome.BAD_REFERENCE),
        ("http://[::1/a.jpg", outcome.BAD_REFERENCE), ("gs://other/a.jpg", outcome.NOT_ALLOWED),
        ("https://shop.example/" + "a" * 9000, outcome.BAD_REFERENCE), ("gs://bucket/../x", outcome.NOT_ALLOWED),
        ("http://shop.example\0/a", outcome.BAD_REFERENCE), ("http://shop.example@evil.example/a", outcome.NOT_ALLOWED),
    ],
)  # fmt: skip
def test_references_that_are_refused(reference: str, reason: str) -> None:
    allowed = ImageSettings(hosts=("shop.example", "bucket"), schemes=("http", "https", "gs"))
    with pytest.raises(ImageError) as error:
        parse(reference, allowed)
    assert error.value.reason == reason


def test_names_and_targets_in_their_normal_form() -> None:
    allowed = ImageSettings(hosts=("shop.example", "xn--bcher-kva.example"))
    for reference, url in [
        ("HTTPS://Shop.Example:443/a b.jpg?x=ü#part", "https://shop.example/a%20b.jpg?x=%C3%BC"),
        ("//shop.example./a.jpg", "https://shop.example/a.jpg"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        # What is connected to is what was allowed, however strange the rest.
        ("https://shop.example\\@evil.example/a", "https://shop.example/%5C@evil.example/a"),
    ]:
        address = parse(reference, allowed)
        assert isinstance(address, WebAddress) and address.url == url
    assert parse("pictures/a.jpg", allowed) is None


def test_a_dead_host_is_left_alone_for_a_while() -> None:
    with serving({"/": status(500)}) as server, web(server, retries=0) as get:
        reasons = [get("/") for _ in range(30)]
        assert reasons == [outcome.HTTP_5XX] * 30
        assert server.count("/") == 20


def test_connections_are_used_again() -> None:
    seen = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.add(handler.client_address)
        status(200, JPEG)(handler)

    with serving({"/": answer}) as server, web(server) as get:
        for _ in range(5):
            assert get("/") == JPEG
        assert len(seen) == 1


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving({"/": status(200, JPEG)}) as server, web(server) as get:
        assert get("/") == JPEG


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of shop.example, with its key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    day = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(day - datetime.timedelta(days=1))
        .not_valid_after(day + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_the_certificate_is_the_names_not_the_addresses(certificate: Path) -> None:
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(certificate)
    names = []
    here.sni_callback = lambda sock, name, context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))

    def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with serving({"/": status(200, JPEG)}, tls=here) as server:

        def url(host: str) -> str:
            return f"https://{host}:{server.port}/"

        with web(server, resolve=resolve, tls=trusting) as get:
            assert get(url("shop.example")) == JPEG
            assert get(url("other.example")) == outcome.UNREACHABLE
        with web(server, resolve=resolve, retries=0) as get:  # a certificate that nobody vouches for
            assert get(url("shop.example")) == outcome.UNREACHABLE
        assert names[0] == "shop.example" and server.count("/") == 1
