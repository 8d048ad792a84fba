"""``python -m loadertask_worker``: the process around one attempt. Reads the environment once."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from loadertask_contract.exit_codes import ExitCode
from loadertask_worker.logs import configure_logging
from loadertask_worker.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Run and leave with the attempt's exit code."""
    # A container's first process ignores what it does not handle; the attempt has its own handlers.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _leave_before_the_attempt)
    keep_freed_memory()
    variables = dict(os.environ)
    configure_logging(debug=variables.get("DEBUG", "").strip().lower() in {"true", "1", "yes"})
    asyncio.run(_run(variables))


def _leave_before_the_attempt(*_: object) -> None:
    os._exit(ExitCode.TRY_AGAIN)


async def _run(variables: Mapping[str, str]) -> None:
    # Most of the start-up is this import, and a signal may come meanwhile.
    from loadertask_worker.runner import run_worker

    # What was imported stays: the collector need not look through it while a load makes rows.
    gc.freeze()
    exit_code = await run_worker(variables)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is said and settled. Nothing may hold up the exit: neither a client of a Kafka that
    # is gone, nor a thread that asks a silent name server, for which asyncio would wait.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
