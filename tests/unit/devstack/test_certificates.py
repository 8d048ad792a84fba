from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from loadertask_devstack.certificates import CertificateAuthority
from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from pathlib import Path


def handshake(ca: Path, certificate: Path, key: Path, host: str) -> None:
    """A TLS handshake in memory, verified as strictly as Python 3.13 does."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate, key)
    client_context = ssl.create_default_context(cafile=ca)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
        if not pending:
            return
    pytest.fail("the handshake does not end")


@pytest.mark.parametrize("host", ["localhost", "kafka-bootstrap.kafka", "127.0.0.1"])
def test_strict_verification_accepts_an_issued_certificate(tmp_path: Path, host: str) -> None:
    authority = CertificateAuthority.create(tmp_path)
    issued = authority.issue(
        "server",
        "server",
        dns_names=["localhost", "kafka-bootstrap.kafka"],
        ip_addresses=["127.0.0.1"],
    )
    handshake(authority.files.certificate, issued.certificate, issued.key, host)


def test_a_certificate_is_refused_for_a_name_it_does_not_hold(tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path)
    issued = authority.issue("server", "server", dns_names=["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.files.certificate, issued.certificate, issued.key, "elsewhere")


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    ours = CertificateAuthority.create(tmp_path / "ours")
    foreign = CertificateAuthority.create(tmp_path / "foreign")
    issued = foreign.issue("server", "server", dns_names=["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours.files.certificate, issued.certificate, issued.key, "localhost")


def test_the_authority_states_its_use_as_critical(tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path)
    certificate = x509.load_pem_x509_certificate(authority.files.certificate.read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert constraints.value.ca
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign


def test_a_loaded_authority_issues_as_the_created_one(tmp_path: Path) -> None:
    created = CertificateAuthority.create(tmp_path)
    issued = CertificateAuthority.load(tmp_path).issue("x", "x", dns_names=["localhost"])
    handshake(created.files.certificate, issued.certificate, issued.key, "localhost")


def test_subject_holds_user_and_groups(tmp_path: Path) -> None:
    issued = CertificateAuthority.create(tmp_path).issue(
        "admin", "the-admin", organizations=["system:masters", "people"]
    )
    subject = x509.load_pem_x509_certificate(issued.certificate.read_bytes()).subject
    groups = [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ["system:masters", "people"]
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "the-admin"


def test_keys_are_pkcs8_and_private(tmp_path: Path) -> None:
    issued = CertificateAuthority.create(tmp_path).issue("x", "x")
    assert issued.key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert issued.key.stat().st_mode & 0o777 == 0o600


def test_loading_where_nothing_is_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="no certificate authority"):
        CertificateAuthority.load(tmp_path)
