"""A cluster that somebody else runs: DEVSTACK_KUBECONFIG and what goes with it.

Nothing is started or stopped here.
"""

from __future__ import annotations

import functools
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.cluster.model import Cluster
from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KUBECONFIG = "DEVSTACK_KUBECONFIG"
_HOST_ADDRESS = "DEVSTACK_HOST_ADDRESS"
_LOAD_IMAGE = "DEVSTACK_LOAD_IMAGE"


def is_configured(environ: Mapping[str, str]) -> bool:
    """Whether a cluster is named by DEVSTACK_KUBECONFIG."""
    return bool(environ.get(_KUBECONFIG))


def connect(environ: Mapping[str, str]) -> Cluster:
    """The cluster that the environment describes; raises DevstackError naming what is wrong."""
    kubeconfig = Path(environ[_KUBECONFIG]).expanduser()
    if not kubeconfig.is_file():
        raise DevstackError(
            f"{_KUBECONFIG} is {kubeconfig}, which is no file",
            "give the path of a kubeconfig, or unset it to have a cluster made here",
        )
    if not (address := environ.get(_HOST_ADDRESS)):
        raise DevstackError(
            f"{_KUBECONFIG} is set and {_HOST_ADDRESS} is not",
            f"set {_HOST_ADDRESS} to the IPv4 address by which pods of that cluster reach this "
            "machine: Kafka and the venue replay run here",
        )
    load_command = environ.get(_LOAD_IMAGE, "")
    return Cluster("existing", kubeconfig, address, functools.partial(_load_image, load_command))


def _load_image(command: str, archive: Path) -> None:
    if not command:
        raise DevstackError(
            f"how the cluster of {_KUBECONFIG} gets images is not known",
            f"set {_LOAD_IMAGE} to a command that takes the path of a docker-archive, such as "
            "'minikube image load' or 'sudo k3s ctr images import'; or to 'true' where the "
            "cluster's nodes have the images",
        )
    done = subprocess.run(
        [*shlex.split(command), str(archive)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DevstackError(
            f"{_LOAD_IMAGE}: `{command} {archive}` ended with {done.returncode}: "
            f"{done.stderr.strip()}",
            f"mend {_LOAD_IMAGE}",
        )
