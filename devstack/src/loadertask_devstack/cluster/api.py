"""Asks an API server of our own whether it is ready. No client library: one GET and no more."""

from __future__ import annotations

import base64
import http.client
import ssl
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S = 2.0


def is_ready(kubeconfig: Path) -> bool:
    """Whether /readyz answers 200 to the user of a kubeconfig that `write_kubeconfig` wrote."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    address = urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(
        address.hostname or "", address.port, timeout=_TIMEOUT_S, context=_tls(cluster, user)
    )
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pair:  # the ssl module loads a client's key from files
        pair.write(base64.b64decode(user["client-certificate-data"]))
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context
