"""The images of operator and worker, as docker-archives that are kept by a hash of their sources.

Where a Docker daemon answers, it builds them; else buildah does, on a base made of Debian packages.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_devstack import buildah, docker, prerequisites
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.progress import Progress, elapsed, silent
from loadertask_devstack.stack import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_TAG = "dev"
_KEPT_ARCHIVES = 4
"""Of each image: two checkouts may want different ones at the same time."""
_NOT_SOURCES = {"__pycache__"}


@dataclass(frozen=True)
class Image:
    """What one Dockerfile of the checkout makes."""

    half: str

    @property
    def name(self) -> str:
        """The full name, as manifests have it."""
        return f"docker.io/library/loadertask-{self.half}:{_TAG}"

    @property
    def dockerfile(self) -> str:
        """Its Dockerfile, in the root of the checkout."""
        return f"Dockerfile.{self.half}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Files and folders of the checkout that decide what is in it."""
        locks = ("locks/build.txt", f"locks/{self.half}.txt")
        return (self.dockerfile, ".dockerignore", *locks, "contract", self.half)


OPERATOR = Image("operator")
WORKER = Image("worker")
ALL = (OPERATOR, WORKER)


def prepare(cache: Path, progress: Progress = silent) -> None:
    """Build all images once, so that the next time only changed code is built."""
    build_all(cache, progress)


def build_all(cache: Path, progress: Progress = silent) -> list[Path]:
    """The archives of both images, for `Cluster.load_image`. Raises DevstackError."""
    return [build(image, cache, progress) for image in ALL]


def build(image: Image, cache: Path, progress: Progress = silent) -> Path:
    """The archive of one image, built where its sources have changed. Raises DevstackError."""
    archive = archive_path(image, cache, CHECKOUT)
    if not archive.exists():
        waiting = elapsed(progress, "another command builds images: waiting for it")
        with exclusive_lock(cache / "images" / "lock", waiting):
            if not archive.exists():  # another command built it while this one waited
                _build(image, archive, cache, progress)
                _remove_older(archive)
    return archive


def archive_path(image: Image, cache: Path, checkout: Path) -> Path:
    """Where the archive of these very sources is kept."""
    digest = hashlib.sha256(f"{platform.machine()} {buildah.BASE_IMAGE_HASH}".encode())
    for path in _files(checkout / source for source in image.sources):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(checkout)} {len(content)}\n".encode())
        digest.update(content)
    return cache / "images" / f"{image.half}-{digest.hexdigest()[:16]}.tar"


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file() and not _NOT_SOURCES & set(path.parts):
                yield path


def _build(image: Image, archive: Path, cache: Path, progress: Progress) -> None:
    draft = archive.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    if docker.answers():
        with elapsed(progress, f"building {image.name} by Docker"):
            docker.build(CHECKOUT, image.dockerfile, image.name, draft)
    else:
        buildah.require_root()
        prerequisites.ensure_packages(prerequisites.IMAGES, progress=progress)
        store = buildah.Store(cache / "images")
        buildah.ensure_base_image(store, progress)
        with elapsed(progress, f"building {image.name}"):
            buildah.build(store, CHECKOUT, image.dockerfile, image.name, draft)
    draft.replace(archive)


def _remove_older(archive: Path) -> None:
    half, _, _ = archive.stem.partition("-")
    archives = sorted(archive.parent.glob(f"{half}-*.tar"), key=lambda path: path.stat().st_mtime)
    for older in archives[:-_KEPT_ARCHIVES]:
        older.unlink(missing_ok=True)
