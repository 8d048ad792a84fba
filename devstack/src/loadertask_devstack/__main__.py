"""``python -m loadertask_devstack``."""

import sys

from loadertask_devstack.cli import main

sys.exit(main())
