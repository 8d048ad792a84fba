"""Everything that can end a load, and what each means for the attempt.

Adapters raise only these, chained from the library's own error. They carry data, not prose.

    LoadError
    ├── ConfigurationError          the task cannot work as it is told        give up   78
    ├── SourceError                 the venue
    │   ├── SourceUnavailableError  no usable answer                          retry     75
    │   ├── ArchiveNeededError      a file cannot be had, REST lacks its rows retry     75
    │   ├── RateLimitedError        asked to wait                             retry     75
    │   ├── BannedError             this address is banned until …            hold      69
    │   ├── RejectedError           the request itself is refused             give up   65
    │   └── ProtocolViolatedError   an answer that breaks the venue's rules   give up   65
    └── SinkError                   Kafka
        ├── SinkUnavailableError    unreachable for longer than the patience  retry     75
        ├── DeliveryUnknownError    records sent, never acknowledged          retry     75
        ├── FencedError             another pod delivers this load now        retry     75
        └── SinkRejectedError       the broker refuses the records            give up   78
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadertask_contract.exit_codes import ExitCode
from loadertask_contract.parsing import Problem

if TYPE_CHECKING:
    from datetime import datetime


class LoadError(Exception):
    """A load cannot go on. ``reason`` and ``exit_code`` are decided here, once per class."""

    reason: ClassVar[str]
    exit_code: ClassVar[ExitCode]


class ConfigurationError(LoadError):
    """The environment, the topic or the rights are wrong; ``problems`` name the variables."""

    reason = "BadConfiguration"
    exit_code = ExitCode.BAD_CONFIGURATION

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems

    @classmethod
    def of(cls, variable: str, message: str) -> ConfigurationError:
        """One problem with one variable."""
        return cls(Problem(variable, message))


class SourceError(LoadError):
    """The venue does not deliver. ``may_pass``: the same request may meet another answer."""

    may_pass: bool = True


class SourceUnavailableError(SourceError):
    """No usable answer: unreachable, too slow, 5xx, cut short, not JSON."""

    reason = "VenueUnavailable"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, what: str) -> None:
        super().__init__(f"the venue gives no usable answer: {what}")
        self.what = what


class ArchiveNeededError(SourceError):
    """A file of the archive cannot be used, and REST no longer keeps what is in it."""

    reason = "ArchiveNeeded"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, file: str, why: str, kept: str) -> None:
        """``kept`` is what REST keeps, in words that follow "it keeps"."""
        what = f"the archive's file {file} cannot be used: {why}"
        super().__init__(f"{what}; REST cannot stand in for it, it keeps {kept}")
        self.file = file


class RateLimitedError(SourceError):
    """The venue asks to wait ``retry_after_s`` seconds (None: until the next minute)."""

    reason = "RateLimited"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        super().__init__(f"the venue limits the rate of requests (HTTP {status})")
        self.status = status
        self.retry_after_s = retry_after_s


class BannedError(SourceError):
    """The venue has banned this address until ``until``; every further request prolongs it."""

    reason = "Banned"
    exit_code = ExitCode.BANNED

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the venue has banned this address until {until.isoformat()}")
        self.until = until


class RejectedError(SourceError):
    """The venue refuses the request: unknown symbol, closed region, unknown path."""

    reason = "RefusedByVenue"
    exit_code = ExitCode.REFUSED_BY_VENUE

    def __init__(
        self, asked: str, status: int, code: int | None, text: str, variable: str | None = None
    ) -> None:
        """``variable`` is the one to look at."""
        shown = f"{text} (HTTP {status}".lstrip() + (")" if code is None else f", code {code})")
        advice = f"; is {variable} right?" if variable else ""
        super().__init__(f"the venue refuses {asked}: {shown}{advice}")
        self.status = status
        self.code = code
        # The venue's own refusals carry a code; others are of whatever stands before it.
        self.may_pass = code is None


class ProtocolViolatedError(SourceError):
    """A well-formed answer that the venue's own rules forbid: publishing it would be wrong."""

    reason = "VenueProtocolViolated"
    exit_code = ExitCode.REFUSED_BY_VENUE

    def __init__(self, what: str) -> None:
        super().__init__(f"the venue's answer cannot be right: {what}")


class SinkError(LoadError):
    """Kafka does not take what it is given."""


class SinkUnavailableError(SinkError):
    """No broker could be reached for ``patience_s`` seconds."""

    reason = "KafkaUnavailable"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, patience_s: float, what: str) -> None:
        super().__init__(f"Kafka has been unreachable for {patience_s:g} s: {what}")


class DeliveryUnknownError(SinkError):
    """Records were sent and not acknowledged: they may be in the topic or not."""

    reason = "DeliveryUnknown"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, records: int, what: str) -> None:
        super().__init__(f"{records} records were not acknowledged by Kafka: {what}")


class FencedError(SinkError):
    """Another pod has taken over the transactional id: the load is its own, not ours, from now on.

    Nothing that we sent after its start is committed, and its word about the load counts.
    """

    reason = "Fenced"
    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, transactional_id: str) -> None:
        super().__init__(f"another worker delivers as {transactional_id} now")


class SinkRejectedError(SinkError):
    """The broker refuses the records: no right to write, too large."""

    reason = "RefusedByKafka"
    exit_code = ExitCode.BAD_CONFIGURATION

    def __init__(self, topic: str, what: str) -> None:
        super().__init__(f"Kafka refuses the records for topic {topic}: {what}")
