"""What a worker counts, for Prometheus: every metric it has, by name, unit and meaning.

Adapters count by these objects directly; pure modules do not. The names are listed in
docs/reference/metrics.md, which a test compares with this registry. Per process, and so per
attempt: what counts over all attempts is `records_written` of the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "loadertask_worker_"
REGISTRY = CollectorRegistry()
"""Ours alone, without what libraries may add to the library's global one."""

# A second time series for each counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]
# Memory, processor time and open files of the process, under their usual names (`process_`).
ProcessCollector(registry=REGISTRY)

_SHORT_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LONG_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


def text() -> bytes:
    """Everything in Prometheus' text format."""
    return generate_latest(REGISTRY)


@dataclass(frozen=True, slots=True)
class Metric:
    """What is said about a metric; the values of a label are empty where they are not known."""

    name: str
    kind: str
    meaning: str
    labels: Mapping[str, tuple[str, ...]]


ALL: list[Metric] = []
"""Every metric of ours, in the order of this file."""


def _counter(name: str, meaning: str, **labels: tuple[str, ...]) -> Counter:
    """A counter; with all values of its one label known, each is there from the start."""
    counter = Counter(PREFIX + name, meaning, tuple(labels), registry=REGISTRY)
    ALL.append(Metric(f"{PREFIX}{name}_total", "counter", meaning, labels))
    if len(labels) == 1:
        (values,) = labels.values()
        for value in values:
            counter.labels(value)
    return counter


def _gauge(name: str, meaning: str, **labels: tuple[str, ...]) -> Gauge:
    ALL.append(Metric(PREFIX + name, "gauge", meaning, labels))
    return Gauge(PREFIX + name, meaning, tuple(labels), registry=REGISTRY)


def _histogram(
    name: str, meaning: str, buckets: tuple[float, ...], **labels: tuple[str, ...]
) -> Histogram:
    ALL.append(Metric(PREFIX + name, "histogram", meaning, labels))
    return Histogram(PREFIX + name, meaning, tuple(labels), buckets=buckets, registry=REGISTRY)


# What is loaded.

LOAD = _gauge(
    "load_info",
    "1, for what is loaded and how",
    queue_id=(),
    symbol=(),
    type=(),
    delivery=("exactly_once", "effectively_once", "at_least_once"),
)
RECORDS_READ = _counter(
    "records_read", "Records read from the venue", source=("archive", "rest", "stream")
)
RECORDS_COMMITTED = _counter("records_committed", "Records committed in Kafka")
RECORD_BYTES_COMMITTED = _counter(
    "record_bytes_committed", "Bytes of the values of the records committed in Kafka"
)
LOADED_THROUGH = _gauge(
    "loaded_through_timestamp_seconds", "Data time before which everything is committed"
)
LAG = _gauge("lag_seconds", "Live: how far the last record is behind the venue's clock")
BUFFER_BYTES = _gauge(
    "buffer_bytes",
    "Bytes held between the venue and Kafka's acknowledgement",
    stage=("stream", "publish"),
)

# The venue's REST interface.

REQUESTS = _counter(
    "requests",
    "Requests to the venue's REST interface, by how they ended: ok, Cancelled, or the reason of the"
    " error",
    endpoint=(),
    outcome=(),
)
REQUEST_SECONDS = _histogram(
    "request_seconds", "A request until its whole answer is here", _LONG_S, endpoint=()
)
WEIGHT_USED = _gauge(
    "weight_used", "Request weight that our address used this minute, by the venue's last answer"
)
WEIGHT_LIMIT = _gauge("weight_limit", "Request weight that the venue allows an address per minute")
WEIGHT_WAIT_SECONDS = _counter(
    "weight_wait_seconds", "Seconds that requests waited for the limits of the venue"
)

# The venue's archive.

ARCHIVE_FILES = _counter(
    "archive_files",
    "Files of the archive; absent and replaced ones are loaded over REST",
    outcome=("loaded", "fetched_again", "absent", "replaced"),
)
ARCHIVE_BYTES = _counter("archive_bytes", "Bytes of compressed files downloaded from the archive")

# The venue's streams.

FRAMES = _counter("frames", "Frames of the stream", outcome=("taken", "ignored", "malformed"))
CONNECTS = _counter(
    "stream_connects",
    "Connections made to the stream",
    cause=("first", "planned", "shutdown", "silent", "lost", "gap"),
)
GAPS = _counter(
    "gaps",
    "Holes noticed in the stream: filled over REST in order, filled late, or marked in the topic",
    outcome=("filled", "late", "marked"),
)
GAP_RECORDS = _counter("gap_records", "Records fetched over REST to fill holes of the stream")
OVERFLOWS = _counter("buffer_overflows", "Times that the stream was not read since Kafka was slow")

# Kafka.

ACKNOWLEDGEMENT_SECONDS = _histogram(
    "acknowledgement_seconds", "A batch of records until Kafka acknowledges it", _SHORT_S
)
TRANSACTION_SECONDS = _histogram(
    "transaction_seconds", "A transaction from its first record to its commit", _LONG_S
)
TRANSACTIONS = _counter(
    "transactions", "Transactions ended", outcome=("committed", "aborted", "unknown")
)
EVENTS_SENT = _counter(
    "events_sent",
    "Events acknowledged by Kafka",
    status=("started", "loading", "interrupted", "error", "finished"),
)
COMMANDS = _counter("commands", "Commands for this worker", command=("stop", "ping"))
MESSAGES_SKIPPED = _counter(
    "messages_skipped",
    "Messages of queue-control that are no command",
    reason=(
        "empty",
        "too_large",
        "not_json",
        "not_an_object",
        "no_queue_id",
        "unknown_command",
    ),
)

# The process.

LOOP_DELAY = _gauge("loop_delay_seconds", "How late the event loop was when last looked at")
