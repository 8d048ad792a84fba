"""Logging of the operator: one JSON object a line, with the task and attempt where known.

All lines of one reconcile, whatever part wrote them, bear the same id.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

_EXTRA = ("task", "attempt")
_reconcile: ContextVar[str | None] = ContextVar("reconcile", default=None)


def begin_reconcile() -> None:
    """From here on to the next call, what this asyncio task logs is of one reconcile."""
    _reconcile.set(secrets.token_hex(4))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _EXTRA if hasattr(record, name)})
        if identity := _reconcile.get():
            line["reconcile"] = identity
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Brief(logging.Filter):
    """Errors of a library in one line: their tracebacks lead nowhere."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and (error := record.exc_info[1]):
            record.msg = f"{record.msg}: {' '.join(str(error).split())[:300]}"
            record.exc_info = None
        return True


def configure_logging(level: int, log_format: str) -> None:
    """Send everything to stderr; libraries speak only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("kopf", "aiohttp", "asyncio"):
        # kopf prints whole objects at its debug level (design operator §4).
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    lease = logging.getLogger("kubernetes.aio.leaderelection.resourcelock.leaselock")
    if not lease.filters:
        lease.addFilter(_Brief())
    # aiokafka logs each of its own retries as an error, ten a second while a broker is away; our
    # own lines say what it means.
    is_verbose = level <= logging.DEBUG
    logging.getLogger("aiokafka").setLevel(logging.INFO if is_verbose else logging.CRITICAL)
