"""``python -m loadertask_worker``: the process around one attempt. Reads the environment once."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from loadertask_worker.logs import configure_logging
from loadertask_worker.runner import run_worker


def main() -> None:
    """Run and leave with the attempt's exit code."""
    variables = dict(os.environ)
    configure_logging(debug=variables.get("DEBUG", "").strip().lower() in {"true", "1", "yes"})
    exit_code = asyncio.run(run_worker(variables))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is said and settled; a client of a Kafka that is gone must not hold up the exit.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
