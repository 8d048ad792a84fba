"""One real API server with its controllers for all tests of the operator, and a proxy before it.

Each test, or module, has a namespace, topics and an operator of its own: `operator_world`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.faulty_api import FaultyApi, faulty_api
from tests.integration.operator_process import cluster_with_crd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of one who may do everything."""
    with cluster_with_crd(tmp_path_factory.mktemp("cluster")) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def proxy(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyApi]:
    """A proxy for the operator of a module."""
    with faulty_api(cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy
