"""Ends aiokafka's clients within a bound: their own ``stop`` hangs while a record is pending."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)

_STOP_S = 2.0


async def stop_within_bound(stop: Coroutine[Any, Any, None], what: str) -> None:
    """Run a client's ``stop``; leave it behind when it takes too long."""
    task = asyncio.create_task(stop)
    await asyncio.wait({task}, timeout=_STOP_S)
    if not task.done():
        task.cancel()
        log.warning("left the %s behind: it did not stop within %.0f s", what, _STOP_S)
    elif not task.cancelled() and (error := task.exception()):
        log.warning("the %s did not stop cleanly: %r", what, error)
