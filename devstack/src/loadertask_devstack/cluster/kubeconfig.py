"""Kubeconfig files: who one is to which API server. Complete in themselves, so they can be copied.

Knows no process; talks to no server.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from loadertask_devstack.certificates import CertificateFiles


def write_kubeconfig(path: Path, url: str, authority: Path, client: CertificateFiles) -> Path:
    """A kubeconfig for the API server at `url`, its only context current; returns `path`."""
    cluster = {"server": url, "certificate-authority-data": _base64(authority)}
    user = {
        "client-certificate-data": _base64(client.certificate),
        "client-key-data": _base64(client.key),
    }
    context = {"cluster": "local", "user": "local"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": user}],
        "contexts": [{"name": "local", "context": context}],
        "current-context": "local",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(content, sort_keys=False))
    draft.replace(path)
    return path


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
