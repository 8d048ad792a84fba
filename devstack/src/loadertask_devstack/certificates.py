"""A certificate authority for one stack, and the certificates it issues.

The CA states its key usage and basic constraints as critical, for Python 3.13 verifies strictly
(RFC 5280). Knows nothing of who uses the files.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_VALIDITY = datetime.timedelta(days=3650)
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate and its PKCS#8 key, both PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class CertificateAuthority:
    """Signs certificates into its own directory."""

    directory: Path
    _certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @property
    def files(self) -> CertificateFiles:
        """The CA's own certificate (`ca.crt`) and key (`ca.key`)."""
        return _files(self.directory, "ca")

    @classmethod
    def create(cls, directory: Path) -> CertificateAuthority:
        """A new authority in `directory`; one that was there is replaced."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"devstack CA {directory.parent.name}")
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(_authority_identifier(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(_files(directory, "ca"), certificate, key)
        return cls(directory, certificate, key)

    @classmethod
    def load(cls, directory: Path) -> CertificateAuthority:
        """The authority that `create` left in `directory`; raises DevstackError without one."""
        files = _files(directory, "ca")
        try:
            certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
            key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        except (FileNotFoundError, ValueError) as error:
            raise DevstackError(
                f"no certificate authority in {directory}: {error}",
                "take the stack down and up again, which makes a new one",
            ) from error
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `create` makes no other
        return cls(directory, certificate, key)

    def issue(
        self,
        name: str,
        common_name: str,
        organizations: Iterable[str] = (),
        dns_names: Iterable[str] = (),
        ip_addresses: Iterable[str] = (),
    ) -> CertificateFiles:
        """A certificate for server and client use as `name`.crt and `name`.key.

        Common name and organizations are what Kubernetes takes for user and groups.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(common_name, organizations), self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(_authority_identifier(self._key.public_key()), critical=False)
        )
        if alternatives := _alternative_names(dns_names, ip_addresses):
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        files = _files(self.directory, name)
        _write(files, builder.sign(self._key, hashes.SHA256()), key)
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str, organizations: Iterable[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(public_key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)


def _alternative_names(
    dns_names: Iterable[str], ip_addresses: Iterable[str]
) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in dns_names),
        *(x509.IPAddress(ip_address(address)) for address in ip_addresses),
    ]


def _files(directory: Path, name: str) -> CertificateFiles:
    return CertificateFiles(directory / f"{name}.crt", directory / f"{name}.key")


def _write(
    files: CertificateFiles, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    files.key.parent.mkdir(parents=True, exist_ok=True)
    files.key.unlink(missing_ok=True)
    descriptor = os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
