"""Log lines on stderr: plain text, UTC, no secrets (the environment's are never formatted)."""

from __future__ import annotations

import logging
import sys
import time


def configure_logging(*, debug: bool) -> None:
    """One handler for everything; the libraries speak up only about trouble."""
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("loadertask_worker").setLevel(logging.DEBUG if debug else logging.INFO)
    # aiokafka logs each of its own retries as an error, and leaves tasks behind that asyncio then
    # reports; our own lines say what it means for the load.
    logging.getLogger("aiokafka").setLevel(logging.INFO if debug else logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING if debug else logging.CRITICAL)
