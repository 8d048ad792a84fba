"""``TIME_RANGE``: a half-open span of data time, [START, END), in UTC (design contract §1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time

# As in spec.timeRange: an older one is a slip of the hand, and would load nothing with success.
_YEARS = range(1970, 2100)
_FORMS = "START:END, as 2023-01-01:2023-01-02, or START/END with ISO 8601 date-times"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """[start, end): aware datetimes in UTC, start before end.

    Raises:
        ValueError: start is not before end, or one of them is not whole milliseconds.

    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.microsecond % 1000:
                raise ValueError("times finer than a millisecond are not supported")
        if self.start >= self.end:
            raise ValueError(f"START {_text(self.start)} must be before END {_text(self.end)}")

    @property
    def start_ms(self) -> int:
        """Start in epoch milliseconds."""
        return epoch_ms(self.start)

    @property
    def end_ms(self) -> int:
        """End (exclusive) in epoch milliseconds."""
        return epoch_ms(self.end)

    def __str__(self) -> str:
        """The spelling that parses to this value; days where both ends are midnights."""
        if self.start.time() == self.end.time() == time():
            return f"{self.start.date()}:{self.end.date()}"
        return f"{_text(self.start)}/{_text(self.end)}"


def parse_time_range(text: str) -> TimeRange:
    """Parse both accepted forms; a date-time without zone is UTC.

    Raises:
        ValueError: neither form, an impossible date, one not of the years 1970 to 2099, or START
            not before END.

    """
    if "/" in text:
        ends = text.split("/")
    elif text.count(":") == 1:
        ends = text.split(":")
    else:
        ends = []
    if len(ends) != 2:
        raise ValueError(f"{text!r} is not a time range: write {_FORMS}")
    return TimeRange(_moment(ends[0]), _moment(ends[1]))


def epoch_ms(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime, without a detour through binary floating point."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def from_epoch_ms(time_ms: int) -> datetime:
    """The aware UTC datetime of epoch milliseconds."""
    whole_s, rest_ms = divmod(time_ms, 1000)
    return datetime.fromtimestamp(whole_s, UTC).replace(microsecond=rest_ms * 1000)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date or date-time: write {_FORMS}") from None
    if moment.year not in _YEARS:
        raise ValueError(f"{text!r} is not of the years {_YEARS[0]} to {_YEARS[-1]}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    timespec = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
