"""The page of the worker's metrics, out of its own list."""

from __future__ import annotations

from loadertask_devstack.reference.markdown import code, table
from loadertask_worker.metrics import ALL, Metric

_INTRODUCTION = """\
# Metrics and health of a worker

On `LOADER_METRICS_PORT` (9090; 0 is off): `/metrics` in Prometheus' format, and `/healthz`, which
answers 503 when the event loop has been stuck for ten seconds. They count one process, and so one
attempt: what counts over all attempts is `records_written` of the [events](events.md). Seconds,
bytes and records are the units, as the names say. Beside these there are the usual `process_`
metrics (memory, processor time, open files).
"""


def metrics_page() -> str:
    """The whole page."""
    return "\n".join(
        [_INTRODUCTION, table(("Metric", "Type", "Labels", "Meaning"), map(_row, ALL))]
    )


def _row(metric: Metric) -> tuple[str, ...]:
    labels = "; ".join(
        f"{code(name)}: {', '.join(values)}" if values else code(name)
        for name, values in metric.labels.items()
    )
    return (code(metric.name), metric.kind, labels, f"{metric.meaning}.")
