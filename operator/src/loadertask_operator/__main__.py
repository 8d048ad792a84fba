"""``python -m loadertask_operator``: the one reader of the environment, and the exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from loadertask_contract.exit_codes import ExitCode
from loadertask_operator.app import run_operator
from loadertask_operator.configuration import ConfigurationError, read_configuration
from loadertask_operator.errors import ApiError, LostLeadershipError, NotFoundError
from loadertask_operator.logs import configure_logging

logger = logging.getLogger(__name__)


def main() -> int:
    """Run the operator; 78 when the configuration cannot be used."""
    try:
        configuration = read_configuration(os.environ)
        configure_logging(configuration.log_level_number, configuration.log_format)
        asyncio.run(run_operator(configuration))
    except ConfigurationError as error:
        sys.stderr.writelines(f"configuration: {problem}\n" for problem in error.problems)
        return ExitCode.BAD_CONFIGURATION
    except NotFoundError as error:
        logger.error("LoaderTasks cannot be listed, is the CRD installed? %s", error)  # noqa: TRY400
        return 1
    except LostLeadershipError as error:
        logger.error("no longer the leader: %s", error.message)  # noqa: TRY400
        return 1
    except ApiError as error:
        logger.error("the API server does not do what the operator needs: %s", error)  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
