"""LoaderTasks of a namespace of the session's API server, over REST, for tests of the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import client, config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client.exceptions import ApiException
    from tests.integration.api_server_fixtures import ApiServer

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
RANGE = "2023-01-01:2023-01-02"
CANDLES: Json = {"symbol": "BTCUSDT", "type": "api_candles_1m", "timeRange": RANGE}


class LoaderTasks:
    """LoaderTasks of one namespace, over REST; every write is strict about unknown fields."""

    def __init__(self, api: client.CustomObjectsApi, namespace: str) -> None:
        self._api = api
        self._where = ("streamforge.io", "v1alpha1", namespace, "loadertasks")

    def create(self, spec: Any, name: str = "task", *, dry_run: bool = False) -> Json:
        body = {"apiVersion": "streamforge.io/v1alpha1", "kind": "LoaderTask"}
        body |= {"metadata": {"name": name}, "spec": spec}
        options = {"dry_run": "All"} if dry_run else {}
        return self._api.create_namespaced_custom_object(
            *self._where, body, field_validation="Strict", **options
        )

    def read(self, name: str = "task") -> Json:
        return self._api.get_namespaced_custom_object(*self._where, name)

    def patch(self, patch: Json, name: str = "task") -> Json:
        return self._api.patch_namespaced_custom_object(
            *self._where, name, patch, field_validation="Strict", _content_type=MERGE_PATCH
        )

    def patch_status(self, status: Any, name: str = "task") -> Json:
        return self._api.patch_namespaced_custom_object_status(
            *self._where,
            name,
            {"status": status},
            field_validation="Strict",
            _content_type=MERGE_PATCH,
        )


def refusal(error: ApiException) -> str:
    """The message of the API server, as kubectl prints it."""
    return str(json.loads(error.body)["message"])


@pytest.fixture(scope="session")
def custom_objects(api_server: ApiServer) -> Iterator[client.CustomObjectsApi]:
    with config.new_client_from_config(str(api_server.kubeconfig)) as connection:
        yield client.CustomObjectsApi(connection)


@pytest.fixture(scope="session")
def dry(custom_objects: client.CustomObjectsApi) -> LoaderTasks:
    """For manifests that are only judged, never stored."""
    return LoaderTasks(custom_objects, "default")


@pytest.fixture
def tasks(custom_objects: client.CustomObjectsApi, namespace: str) -> LoaderTasks:
    return LoaderTasks(custom_objects, namespace)
