"""Images: which sources make a new archive, and how many archives stay."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import buildah, docker, images
from loadertask_devstack.stack import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the images are made from."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for source in {source for image in images.ALL for source in image.sources}:
        (copy / source).parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / source).is_dir():
            shutil.copytree(CHECKOUT / source, copy / source, ignore=ignored)
        else:
            shutil.copy(CHECKOUT / source, copy / source)
    return copy


@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        ("Dockerfile.operator", {images.OPERATOR}),
        ("Dockerfile.worker", {images.WORKER}),
        ("locks/worker.txt", {images.WORKER}),
        ("locks/build.txt", {images.OPERATOR, images.WORKER}),
        ("contract/pyproject.toml", {images.OPERATOR, images.WORKER}),
        ("operator/src/loadertask_operator/new.py", {images.OPERATOR}),
        ("worker/src/loadertask_worker/__pycache__/new.pyc", set()),
        ("README.md", set()),
    ],
)
def test_an_image_has_a_new_archive_when_its_sources_change(
    tmp_path: Path, checkout: Path, changed: str, rebuilt: set[images.Image]
) -> None:
    def paths() -> dict[images.Image, Path]:
        return {image: images.archive_path(image, tmp_path, checkout) for image in images.ALL}

    before = paths()
    (checkout / changed).parent.mkdir(parents=True, exist_ok=True)
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")
    after = paths()

    assert {image for image in images.ALL if before[image] != after[image]} == rebuilt


def test_what_is_built_is_not_built_again_and_older_archives_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(_context: Path, _dockerfile: str, name: str, archive: Path) -> None:
        built.append(name)
        archive.touch()

    monkeypatch.setattr(docker, "answers", lambda: True)
    monkeypatch.setattr(docker, "build", build)
    (tmp_path / "images").mkdir()
    older = [tmp_path / "images" / f"worker-{age}.tar" for age in range(4)]
    for age, path in enumerate(older):
        path.touch()
        os.utime(path, (age, age))

    archive = images.build(images.WORKER, tmp_path)

    assert images.build(images.WORKER, tmp_path) == archive
    assert built == ["docker.io/library/loadertask-worker:dev"]
    assert sorted((tmp_path / "images").glob("*.tar")) == sorted([archive, *older[1:]])


def test_only_what_reaches_a_package_index_is_handed_to_a_build() -> None:
    environ = {"PIP_INDEX_URL": "https://index.example/simple", "HTTPS_PROXY": "", "TOKEN": "t"}

    arguments = docker.build_arguments(environ)

    assert arguments == ["--build-arg", "PIP_INDEX_URL=https://index.example/simple"]


def test_a_private_authority_is_mounted_for_the_build_and_named_as_a_build_argument(
    tmp_path: Path,
) -> None:
    certificate = tmp_path / "company.pem"
    certificate.touch()

    settings = buildah.machine_settings({"PIP_CERT": str(certificate)})

    assert f"--volume={certificate}:{certificate}:ro" in settings
    assert settings[-2:] == ["--build-arg", f"PIP_CERT={certificate}"]
    assert not any(setting.startswith("--env") for setting in settings)


@pytest.mark.parametrize("image", images.ALL, ids=lambda image: image.half)
def test_the_dockerfile_begins_and_ends_on_the_base_image_and_runs_as_nobody(
    image: images.Image,
) -> None:
    lines = (CHECKOUT / image.dockerfile).read_text().splitlines()

    assert [line.split()[1] for line in lines if line.startswith("FROM")] == [
        buildah.BASE_IMAGE,
        buildah.BASE_IMAGE,
    ]
    assert "USER 65532:65532" in lines
    assert lines[-1] == f'ENTRYPOINT ["/opt/python/bin/python", "-m", "loadertask_{image.half}"]'
