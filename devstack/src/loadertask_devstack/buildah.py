"""Builds images without a daemon and without a registry: buildah, on a base of Debian packages.

The base bears the very name that the Dockerfiles have, so they need not know of this. All images
live in a store of our own, not in the machine's.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from loadertask_devstack.docker import build_arguments, run_build
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.progress import Progress, elapsed

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_IMAGE = "docker.io/library/python:3.13-slim-trixie"
_DEBIAN_RELEASE = "trixie"
_PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
_LEFT_OUT = ("doc", "info", "lintian", "locale", "man")
_BASE_DOCKERFILE = """\
FROM scratch
ADD base.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s python3 /usr/local/bin/python
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
"""
_CERTIFICATE_FILES = ("PIP_CERT", "SSL_CERT_FILE")
_CERTIFICATE_FOLDER = Path("/etc/ssl/certs")
_PIP_CONFIGURATION = Path("/etc/pip.conf")


@dataclass(frozen=True)
class Store:
    """Where images and their layers are kept."""

    directory: Path

    def command(self, *arguments: str) -> list[str]:
        """The command of buildah on this store; what it mounts is gone with it."""
        return [
            *("unshare", "--mount", "buildah"),
            f"--root={self.directory / 'store'}",
            f"--runroot={self.directory / 'store-run'}",
            "--storage-driver=overlay",
            *arguments,
        ]


def debootstrap_command(archive: Path) -> list[str]:
    """The command that makes the root file system of the base image out of Debian packages."""
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--include={','.join(_PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
        _DEBIAN_RELEASE,
        str(archive),
    ]


BASE_IMAGE_HASH = hashlib.sha256(
    repr((debootstrap_command(Path("base.tar")), _BASE_DOCKERFILE)).encode()
).hexdigest()[:16]
_OWN_BASE_NAME = f"localhost/loadertask-devstack-base:{BASE_IMAGE_HASH}"


def require_root() -> None:
    """Raises DevstackError for anybody else: the builds' mounts need it."""
    if os.geteuid() != 0:
        raise DevstackError(
            "images are built by buildah, which needs root here",
            "run this as root (sudo), or start a Docker daemon",
        )


def ensure_base_image(store: Store, progress: Progress) -> None:
    """Make the base image, unless the store has it: about 45 s. Raises DevstackError."""
    inspect = store.command("inspect", "--type=image", _OWN_BASE_NAME)
    if subprocess.run(inspect, capture_output=True, check=False).returncode != 0:
        store.directory.mkdir(parents=True, exist_ok=True)
        with (
            elapsed(progress, "making the base image of Debian packages (once, about 45 s)"),
            TemporaryDirectory(dir=store.directory) as directory,
        ):
            _make_base_image(store, Path(directory))
    run_build(store.command("tag", _OWN_BASE_NAME, BASE_IMAGE))


def build(store: Store, context: Path, dockerfile: str, name: str, archive: Path) -> None:
    """Build an image and write it as a docker-archive. Raises DevstackError."""
    path = str(context / dockerfile)
    options = [*machine_settings(os.environ), *build_arguments(os.environ)]
    run_build(
        store.command(
            *("bud", "--isolation=chroot", "--layers", "--force-rm", "--pull-never", *options),
            *("--file", path, "--tag", name, str(context)),
        )
    )
    run_build(store.command("push", name, f"docker-archive:{archive}:{name}"))


def machine_settings(environ: Mapping[str, str]) -> list[str]:
    """What lets pip trust this machine's package index: mounted for the build, never baked in."""
    certificates = [name for name in _CERTIFICATE_FILES if environ.get(name)]
    paths = {_CERTIFICATE_FOLDER, _PIP_CONFIGURATION}
    paths |= {Path(environ[name]) for name in certificates}
    mounted = sorted(
        str(path)
        for path in paths
        if path.exists() and (path == _CERTIFICATE_FOLDER or path.parent != _CERTIFICATE_FOLDER)
    )
    return [
        *(f"--volume={path}:{path}:ro" for path in mounted),
        *build_arguments(environ, _CERTIFICATE_FILES),
    ]


def _make_base_image(store: Store, directory: Path) -> None:
    (directory / "Dockerfile").write_text(_BASE_DOCKERFILE)
    run_build(debootstrap_command(directory / "base.tar"))
    run_build(
        store.command(
            *("bud", "--isolation=chroot", "--layers", "--force-rm"),
            *("--tag", _OWN_BASE_NAME, str(directory)),
        )
    )
