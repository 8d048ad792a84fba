"""The operator's Prometheus metrics (design operator §5): no label per object."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PHASE_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)
_LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counters and histograms in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.phase = Gauge("loadertask_phase", "Tasks by phase", ["phase"], registry=self.registry)
        self.submit_latency = self._histogram(
            "submit_latency_seconds", "Task created to Job created"
        )
        self.event_to_status = self._histogram(
            "event_to_status_seconds", "Event written to status stored, where written at once"
        )
        self.start_latency = self._histogram(
            "start_latency_seconds", "Task created to the first event of a worker in its status"
        )
        self.time_in_phase = Histogram(
            "loadertask_time_in_phase_seconds",
            "How long tasks were in a phase that they have left",
            ["phase"],
            buckets=_PHASE_BUCKETS_S,
            registry=self.registry,
        )
        self.stop_ack = self._histogram("stop_ack_seconds", "Stop asked to the worker's reaction")
        self.loop_lag = self._histogram("loop_lag_seconds", "How late the event loop was")
        self.is_leader = Gauge(
            "loadertask_is_leader", "Whether this process leads", registry=self.registry
        )
        self.reconcile_duration = self._histogram("reconcile_duration_seconds", "One reconcile")
        self.events_applied = self._counter("events_applied", "Events folded into a status")
        self.events_discarded = Counter(
            "loadertask_events_discarded",
            "Records of queue-events that moved no status",
            ["reason"],
            registry=self.registry,
        )
        self.status_writes = self._counter("status_writes", "Status writes")
        self.stop_commands = self._counter("stop_commands", "Stop commands sent")
        self.broker_reachable = Gauge(
            "loadertask_broker_reachable", "Whether Kafka answers", registry=self.registry
        )
        self.consumer_lag = Gauge(
            "loadertask_consumer_lag", "Records of queue-events not read", registry=self.registry
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(f"loadertask_{name}", documentation, registry=self.registry)

    def _histogram(self, name: str, documentation: str) -> Histogram:
        return Histogram(
            f"loadertask_{name}",
            documentation,
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
