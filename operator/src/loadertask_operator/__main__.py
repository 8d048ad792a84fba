"""``python -m loadertask_operator``: the one reader of the environment, and the exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from loadertask_contract.exit_codes import ExitCode
from loadertask_operator.app import run_operator
from loadertask_operator.configuration import ConfigurationError, read_configuration
from loadertask_operator.logs import configure_logging


def main() -> int:
    """Run the operator; 78 when the configuration cannot be used."""
    try:
        configuration = read_configuration(os.environ)
    except ConfigurationError as error:
        sys.stderr.writelines(f"configuration: {problem}\n" for problem in error.problems)
        return ExitCode.BAD_CONFIGURATION
    configure_logging(configuration.log_level_number, configuration.log_format)
    try:
        asyncio.run(run_operator(configuration))
    except Exception:
        logging.getLogger(__name__).exception("the operator ends")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
