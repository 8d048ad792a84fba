"""The others behind our address, as far as the venue's count shows them. Pure.

Nobody tells a worker who else is there: what the venue has counted beyond our own requests was
theirs. What they have under way shows itself only later: room is left for it (decision 086).
"""

from __future__ import annotations

from dataclasses import dataclass

# Of an address's limit: what a worker uses alone, in company, and in the densest crowd.
_ALONE = 0.96
_IN_COMPANY = 0.95
_IN_A_CROWD = 0.90

# Others may send heavier requests than we do, and more at once.
_MARGIN = 1.25
# Of the room that is left: what one alone may have under way, and all together. More of it would
# oscillate, since everybody sees the others' requests as late as an answer takes.
_UNDER_WAY_ALONE = 0.5
_UNDER_WAY = 0.05
# How much of what was seen counts still after each answer: five answers or so.
_MEMORY = 0.8


@dataclass(slots=True)
class Company:
    """``used`` is what the others have used of a limit in the present window, at least."""

    used: int = 0
    _lately_used: float = 0.0
    _lately_own: float = 0.0

    def see(self, counted: int, own: int, weight: int) -> None:
        """The answer to a request of ``weight``: the venue has counted so much, ``own`` is ours.

        ``own`` has what is under way as well, which the venue need not have counted yet: once
        little is, the others' use is exact. An older answer makes nothing undone.
        """
        used = max(self.used, counted - own)
        self._lately_used = _MEMORY * self._lately_used + used - self.used
        self._lately_own = _MEMORY * self._lately_own + weight
        self.used = used

    def begin_window(self) -> None:
        """The venue counts anew; those who were there lately are probably still there."""
        self.used = 0

    def target(self, capacity: int, own: int, units: int) -> int:
        """Up to where the limit is used by somebody who sends requests of ``units``.

        Each of the others may have one such request under way that we cannot see.
        """
        if not self.used:
            return int(capacity * _ALONE)
        unseen = int((self._crowd(own) - 1) * units * _MARGIN)
        most, least = int(capacity * _IN_COMPANY), int(capacity * _IN_A_CROWD)
        return max(least, min(most, capacity - unseen))

    def most_under_way(self, room: int, own: int) -> float:
        """How much we may have under way where ``room`` is left for all, besides one request."""
        if not self.used:
            return room * _UNDER_WAY_ALONE
        return room * _UNDER_WAY / self._crowd(own)

    def _crowd(self, own: int) -> float:
        """How many there would be if all were as busy as we are, ourselves included.

        Who came late into the window has used little of it, who came first has used much: both are
        misled by the whole of it, the one to be too careful and the other too bold.
        """
        in_window = self.used / max(own, 1)
        lately = self._lately_used / max(self._lately_own, 1)
        return 1 + max(in_window, lately)


def own_target(capacity: int) -> int:
    """Up to where a worker that is alone uses a limit."""
    return int(capacity * _ALONE)
