"""Builds the Go programs of the local cluster from the modules in devstack/toolchain.

What is built is kept by a hash of what it was built from. Knows the programs' names and build
flags; must not know how they are started.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.progress import Progress, elapsed, silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCE = Path(__file__).resolve().parents[2] / "toolchain"

_KUBERNETES_VERSION = "v1.36.3"
_OLDEST_GO = (1, 21)
"""The first that fetches the newer toolchain a go.mod asks for."""
_TAIL_LINES = 25


@dataclass(frozen=True)
class Build:
    """Programs that one `go build` makes out of one module."""

    name: str
    module: str
    packages: Mapping[str, str]
    """Program name to Go package."""
    typical_duration: str
    """What a first user is told to expect, on two cores."""
    ldflags: str = "-s -w"
    tags: str = ""
    needs_cgo: bool = False


_VERSION_PACKAGE = "k8s.io/component-base/version"
_, _MINOR, _ = _KUBERNETES_VERSION.split(".")
_KUBERNETES_LDFLAGS = (
    f"-s -w -X {_VERSION_PACKAGE}.gitVersion={_KUBERNETES_VERSION}"
    f" -X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor={_MINOR}"
)

CONTROL_PLANE = Build(
    "control-plane",
    "kubernetes",
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    },
    "about 6 minutes",
    ldflags=_KUBERNETES_LDFLAGS,
)
CLIENTS = Build(
    "clients",
    "kubernetes",
    {"kubectl": "k8s.io/kubernetes/cmd/kubectl", "helm": "helm.sh/helm/v3/cmd/helm"},
    "about 1 minute",
    ldflags=_KUBERNETES_LDFLAGS,
)
NODE = Build(
    "node",
    "kubernetes",
    {
        "kubelet": "k8s.io/kubernetes/cmd/kubelet",
        "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
        "coredns": "./coredns",
        "pause": "./pause",
    },
    "about 2 minutes",
    ldflags=_KUBERNETES_LDFLAGS,
)
CONTAINERD = Build(
    "containerd",
    "containerd",
    {
        name: f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    "about 80 seconds",
    tags="no_btrfs no_devmapper no_zfs",
)
RUNC = Build(
    "runc",
    "runc",
    {"runc": "github.com/opencontainers/runc"},
    "about 20 seconds",
    tags="seccomp",
    needs_cgo=True,
)
ALL = (CONTROL_PLANE, CLIENTS, NODE, CONTAINERD, RUNC)
KWOK = Build("kwok", "kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, "about 3 minutes")
"""Plays nodes whose pods run nothing. Only `make bench-operator` needs and builds it."""


def ensure_programs(
    cache: Path, builds: Iterable[Build] = ALL, *, progress: Progress = silent
) -> Mapping[str, Path]:
    """Build what is not built yet; the path of each program by its name.

    `cache` is `stack.cache_directory`. Raises DevstackError where Go is missing or fails.
    """
    programs: dict[str, Path] = {}
    for build in builds:
        directory = _directory(cache, build)
        if not directory.is_dir():
            _build_once(build, directory, progress)
        programs.update({name: directory / name for name in build.packages})
    return programs


def missing_builds(cache: Path, builds: Iterable[Build] = ALL) -> tuple[Build, ...]:
    """Those that have yet to be built."""
    return tuple(build for build in builds if not _directory(cache, build).is_dir())


def source_hash(source: Path, build: Build) -> str:
    """A hash of all that decides what a build makes: sources, checksums, flags, architecture."""
    flags = (build_command(build, Path()), build.needs_cgo, platform.machine())
    digest = hashlib.sha256(repr(flags).encode())
    module = source / build.module
    names = sorted([module / "go.mod", module / "go.sum", *module.rglob("*.go")])
    for path in names:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(module)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def go_version(text: str) -> tuple[int, int] | None:
    """(1, 26) out of what `go version` prints; None where it is something else."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def build_command(build: Build, output: Path) -> list[str]:
    """The `go build` of all its programs; -v names each package as it is compiled."""
    return [
        *("go", "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", build.ldflags),
        *(("-tags", build.tags) if build.tags else ()),
        *("-o", f"{output}/", *build.packages.values()),
    ]


def _directory(cache: Path, build: Build) -> Path:
    return cache / "bin" / f"{build.name}-{source_hash(SOURCE, build)}"


def _build_once(build: Build, directory: Path, progress: Progress) -> None:
    waiting = elapsed(progress, f"another command builds {build.name}: waiting for it")
    with exclusive_lock(directory.with_name(f"{build.name}.lock"), waiting):
        if directory.is_dir():  # another command built it while this one waited
            return
        for leftover in directory.parent.glob(f".{directory.name}*"):
            shutil.rmtree(leftover)
        _require_go()
        draft = directory.with_name(f".{directory.name}.draft")
        draft.mkdir()
        _run_go(build, draft, directory.with_name(f"{directory.name}.log"), progress)
        _name_programs(build, draft)
        draft.replace(directory)


def _require_go() -> None:
    if shutil.which("go") is None:
        raise DevstackError(
            "the program go is not there: the local cluster is built from its Go modules",
            "install Go (https://go.dev/dl, or Debian's golang-go where it is 1.21 or newer) and "
            "put it in PATH; or start a Docker daemon (kind is used then); or name a cluster of "
            "your own by DEVSTACK_KUBECONFIG",
        )
    text = subprocess.run(["go", "version"], capture_output=True, text=True, check=False).stdout
    version = go_version(text)
    if version is None or version < _OLDEST_GO:
        raise DevstackError(
            f"Go is too old: {text.strip() or '`go version` fails'}",
            "install Go 1.21 or newer (https://go.dev/dl); it fetches the rest itself",
        )


def _run_go(build: Build, draft: Path, log: Path, progress: Progress) -> None:
    def state() -> str:
        linked = len(list(draft.iterdir()))
        compiled = log.read_text(errors="replace").count("\n")
        return f"{compiled} packages compiled, {linked} of {len(build.packages)} programs ready"

    what = f"building {', '.join(build.packages)} (once, {build.typical_duration})"
    environment = {**os.environ, "CGO_ENABLED": str(int(build.needs_cgo))}
    with log.open("w") as output, elapsed(progress, what, state):
        status = _wait(
            subprocess.Popen(
                build_command(build, draft),
                cwd=SOURCE / build.module,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        )
    if status != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise DevstackError(
            f"`go build` of {build.name} ended with {status}; end of {log}:\n{tail}",
            "the modules come through the Go module proxy (`go env GOPROXY`); runc also needs "
            "gcc, pkg-config and libseccomp-dev",
        )


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _name_programs(build: Build, directory: Path) -> None:
    """Rename what Go named otherwise: .../etcd/server/v3 is built as `server`."""
    for name, package in build.packages.items():
        parts = package.split("/")
        built = parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]
        (directory / built).replace(directory / name)
