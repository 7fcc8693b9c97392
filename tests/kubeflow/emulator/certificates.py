"""A certificate authority of its own, as KFP's manifests have cert-manager make one."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kubeflow.emulator.metadata import Certificate


def make_certificate(folder: Path, host: str = "localhost") -> Certificate:
    """A certificate that names ``host``; the authority's is written to ``folder``, with a remark before it."""
    ours, its = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _name("Autorität")
    signed = _certificate(authority, authority, ours, ours, x509.BasicConstraints(ca=True, path_length=0))
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    server = _certificate(_name(host), authority, its, ours, names)
    file = folder / "ca.crt"
    file.write_bytes("# Autorität\n".encode() + signed.public_bytes(serialization.Encoding.PEM))
    key = its.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(key, server.public_bytes(serialization.Encoding.PEM), file)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signed_with: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(signed_with, hashes.SHA256())
    )
