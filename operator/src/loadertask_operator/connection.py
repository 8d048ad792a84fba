"""The connection to the API server: JSON over the official client's session and credentials.

One request in, its answer out, or one of our errors. An answer is not read further than is asked:
most of it is `managedFields`. It knows no kind of object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio import client, config
from pydantic import TypeAdapter, ValidationError
from yaml import YAMLError

from loadertask_operator.configuration import ConfigurationError
from loadertask_operator.errors import UnavailableError, api_error

_REQUEST_TIMEOUT_S = 30.0
JSON = "application/json"
Answer = TypeVar("Answer")


async def load_access() -> client.ApiClient:
    """The client of the cluster we run in, else of the kubeconfig.

    Raises:
        ConfigurationError: there is neither.

    """
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await _load_kubeconfig()
    settings = client.Configuration.get_default_copy()
    # Its default has aiohttp look for a .netrc in a thread, at every request. The proxies of the
    # environment go with it: kopf's watches use none either (`networking.trust_env`).
    settings.client_session_kwargs = {"trust_env": False}
    return client.ApiClient(settings)


async def _load_kubeconfig() -> None:
    try:
        await config.load_kube_config(persist_config=False)  # type: ignore[no-untyped-call]
    except (config.ConfigException, YAMLError, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        problem = f"KUBECONFIG: this is no pod of a cluster, and no kubeconfig is usable: {reason}"
        raise ConfigurationError((problem,)) from error


class Connection:
    """Requests; ``may_write`` raises where none but reads may be made."""

    def __init__(self, api_client: client.ApiClient, may_write: Callable[[], None]) -> None:
        self._client = api_client
        self._may_write = may_write

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def request(
        self, method: str, path: str, body: Any = None, **kinds: str
    ) -> dict[str, Any]:
        """The JSON object that answers; raises as ``send`` does."""
        text = await self.send(method, path, body, **kinds)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _unreadable(method, path, text)
        return answer

    async def request_part(
        self, part: TypeAdapter[Answer], method: str, path: str, body: Any = None, **kinds: str
    ) -> Answer:
        """As much of the answer as ``part`` has fields for; raises as ``send`` does."""
        text = await self.send(method, path, body, **kinds)
        try:
            return part.validate_json(text)
        except ValidationError as error:
            raise _unreadable(method, path, text) from error

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        """The answer, unread.

        Raises:
            ApiError: the answer is no success, or there is none.
            LostLeadershipError: it is a write, and we may not write; nothing was sent.

        """
        if method != "GET":
            self._may_write()
        headers = {"Accept": accept, "Content-Type": content_type}
        try:
            status, text = await self._exchange(method, path, body, headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(
                0, f"{method} {path}: {error or type(error).__name__}"
            ) from error
        if status >= 300:
            raise api_error(status, _message(text) or f"{method} {path}")
        return text

    async def _exchange(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Below the client's ``param_serialize``, which copies each body, piece by piece."""
        settings = self._client.configuration
        # Asked for each time: a token of a pod is renewed.
        token = (await settings.auth_settings()).get("BearerToken")
        if token and token["value"]:
            headers["Authorization"] = token["value"]
        response = await self._client.rest_client.request(  # type: ignore[no-untyped-call]
            method,
            f"{settings.host}{path}",
            headers=self._client.default_headers | headers,
            body=body,
            _request_timeout=_REQUEST_TIMEOUT_S,
        )
        text: bytes = await response.read()
        return response.status, text


def _message(text: bytes) -> str:
    """What an error says; a proxy in between may answer with something else than JSON."""
    try:
        answer = json.loads(text)
    except ValueError:
        return _beginning(text)
    return str(answer.get("message") or "") if isinstance(answer, dict) else ""


def _unreadable(method: str, path: str, text: bytes) -> UnavailableError:
    return UnavailableError(0, f"{method} {path}: not an answer of Kubernetes: {_beginning(text)}")


def _beginning(text: bytes) -> str:
    return text[:200].decode(errors="replace")
