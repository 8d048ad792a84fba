"""kopf: watches tasks, Jobs and pods, and hands every sighting on. Nothing is decided here.

Only ``on.event`` is used: kopf's own causes rest on annotations it would have to write (design
operator §4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from loadertask_operator import names

Sighting = Callable[[dict[str, Any], bool], None]
"""Takes the object and whether it is gone."""

_WORKER_LIMIT = 200
_IDLE_TIMEOUT_S = 0.05


class _NoComparison(kopf.DiffBaseStorage):
    """Keeps kopf from copying each object to compare it with the last one it handled.

    It does so for every event, whether or not a handler wants to know: a seventh of our time.
    """

    def build(self, **_: Any) -> Any:
        """What is worth comparing: nothing."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """What was handled last: the same."""
        return {}

    def store(self, **_: Any) -> None:
        """Nothing is written into any object."""


class _NoProgress(kopf.ProgressStorage):
    """Keeps kopf from copying each object once more, without what it would store of handlers."""

    def fetch(self, **_: Any) -> None:
        """What is known of a handler: nothing."""

    def store(self, **_: Any) -> None:
        """Nothing is written into any object."""

    def purge(self, **_: Any) -> None:
        """There is nothing to take away."""

    def touch(self, **_: Any) -> None:
        """No object is changed to wake a handler."""

    def clear(self, *, essence: Any) -> Any:
        """The object without what was stored in it: the same."""
        return essence


def build_registry(on_task: Sighting, on_job: Sighting, on_pod: Sighting) -> kopf.OperatorRegistry:
    """The handlers: one for each kind of object that is watched."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(_seen(on_task))
    kopf.on.event("batch", "v1", "jobs", registry=registry)(_seen(on_job))
    kopf.on.event("", "v1", "pods", registry=registry)(_seen(on_pod))
    return registry


def build_settings() -> kopf.OperatorSettings:
    """Kopf's settings (measured in design operator §4)."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.connect_timeout = 10
    for group, plural in (("batch", "jobs"), ("", "pods")):
        settings.watching.label_selectors[group, "v1", plural] = names.OWN_OBJECTS_SELECTOR
    settings.networking.request_timeout = 30
    # kopf's workers keep their slot for the idle timeout: the limit needs a short one.
    settings.queueing.worker_limit = _WORKER_LIMIT
    settings.queueing.idle_timeout = _IDLE_TIMEOUT_S
    settings.persistence.diffbase_storage = _NoComparison()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = 20
    return settings


async def watch(registry: kopf.OperatorRegistry, namespaces: tuple[str, ...]) -> None:
    """Watch until a signal ends it."""
    await kopf.operator(
        registry=registry,
        settings=build_settings(),
        standalone=True,
        # Unused without peering, but kopf's default asks for the name of a user that images lack.
        identity=names.COMPONENT,  # type: ignore[arg-type]
        clusterwide=not namespaces,
        namespaces=namespaces,
    )


def _seen(sighting: Sighting) -> Callable[..., None]:
    async def on_event(event: Any, **_: Any) -> None:
        sighting(event["object"], event["type"] == "DELETED")

    return on_event  # type: ignore[return-value]


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Plain credentials: kopf's default would import the synchronous client for them."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
