"""Holes that newer records have overtaken, and what that means for where a load goes on. Pure.

Until a hole is filled, a load that is interrupted goes on at its beginning: it repeats what came
after rather than lose what is owed. Positions are as in ``Release``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadertask_worker.live.updates import LATE, SOURCE_REST, Release, Span, resume_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadertask_contract.messages import Headers


class Debts:
    """What is owed, the oldest first."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    @property
    def first(self) -> Span | None:
        """What to pay next; None where nothing is owed."""
        return self._spans[0] if self._spans else None

    def owe(self, span: Span) -> None:
        """Leave a hole behind."""
        if self._spans and self._spans[-1].end == span.start:
            span = Span(self._spans.pop().start, span.end)
        self._spans.append(span)

    def resume_at(self, position: int) -> int:
        """Where a load goes on that has got to ``position``."""
        return self._spans[0].start if self._spans else position

    def placed(self, release: Release) -> Release:
        """The same record; where something is owed, it says that a load goes on there."""
        if not self._spans:
            return release
        start = self._spans[0].start
        return replace(release, position=start, headers=(*release.headers, resume_header(start)))

    def pay(self, end: int, found: Iterable[Release], position: int) -> Sequence[Release]:
        """What was ``found`` of the first debt before ``end``; the part after that is still owed.

        ``position`` is where a load goes on that owes nothing.
        """
        debt = self._spans.pop(0)
        if end < debt.end:
            self._spans.insert(0, Span(end, debt.end))
        end = min(end, debt.end)
        late = [_late(each) for each in found if debt.start <= each.position < end]
        if late:
            resume = resume_header(self.resume_at(position))
            late[-1] = replace(late[-1], headers=(*late[-1].headers, resume))
        return late


def _late(release: Release) -> Release:
    headers: Headers = (*release.headers, *SOURCE_REST, *LATE)
    return replace(release, headers=headers)
