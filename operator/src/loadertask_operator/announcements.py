"""Kubernetes Events of a plan: told once its status is stored, also when a request failed between.

The next decision knows from the stored status that something is no news any more. What a failed
look had to tell is therefore remembered, and told by the next one that finds its status stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadertask_operator.plan import Notice, Plan
from loadertask_operator.ports import Api
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.status import Status


@dataclass(frozen=True, slots=True)
class _Untold:
    uid: str
    state: object
    notices: tuple[Notice, ...]


class Announcements:
    """What is still to be told of each task."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._untold: dict[TaskKey, _Untold] = {}

    async def prepare(self, task: LoaderTask, plan: Plan) -> None:
        """Tell what a failed look had stored, and remember what ``plan`` has to tell."""
        left = self._untold.get(task.key)
        if left and left.uid == task.uid and left.state == _state(task.status):
            await self.tell(task)
        self.forget(task.key)
        if plan.notices:
            self._untold[task.key] = _Untold(task.uid, _state(plan.status), plan.notices)

    async def tell(self, task: LoaderTask) -> None:
        """Tell what is remembered."""
        left = self._untold.pop(task.key, None)
        for notice in left.notices if left else ():
            await self._api.post_event(task, notice)

    def forget(self, key: TaskKey) -> None:
        """There is nothing to tell of the task, or it is gone."""
        self._untold.pop(key, None)


def _state(status: Status) -> object:
    """What tells a stored step from another one, whenever it was made."""
    conditions = {(c.type, c.status, c.reason) for c in status.conditions}
    counts = status.attempts, status.failures, status.disruptions
    return status.phase, status.reason, counts, conditions, status.stop
