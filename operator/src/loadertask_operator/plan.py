"""What is to be done about a task: the result of a decision. Values only.

Effects are applied in the order of the fields: the intent is stored before it is acted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loadertask_operator.observed import PodState
from loadertask_operator.status import CurrentAttempt, Status


class Propagation(StrEnum):
    """How the deletion of a Job treats its pods."""

    FOREGROUND = "Foreground"
    BACKGROUND = "Background"


@dataclass(frozen=True, slots=True)
class Notice:
    """A Kubernetes Event about the task."""

    reason: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted status and the effects; ``recheck_at`` is when time alone may change the plan."""

    status: Status
    needs_finalizer: bool
    send_stop: bool = False
    create: CurrentAttempt | None = None
    delete_job: Propagation | None = None
    delete_pods: tuple[PodState, ...] = ()
    job_ttl_s: int | None = None
    delete_task: bool = False
    notices: tuple[Notice, ...] = ()
    recheck_at: datetime | None = None
