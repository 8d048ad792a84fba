"""What clients did: every request with its parameters, and the weight of each minute. No I/O."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass

_KEPT_REQUESTS = 20_000
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """One request and its answer; ``fault`` is the kind of the fault it met, if any."""

    time_ms: int
    client: str
    method: str
    path: str
    params: dict[str, str]
    status: int
    weight: int
    used_weight: int
    rows: int
    source: str
    fault: str | None


class Audit:
    """The latest requests and totals of all."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._requests: deque[AuditedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self._total = 0
        self._statuses: Counter[str] = Counter()
        self._weights: Counter[tuple[int, str]] = Counter()

    def add(self, request: AuditedRequest) -> None:
        """Note a request that was answered."""
        self._requests.append(request)
        self._total += 1
        self._statuses[str(request.status)] += 1
        self._weights[request.time_ms // _MINUTE_MS, request.client] += request.weight

    def described(self) -> dict[str, object]:
        """All of it as JSON values; at most the latest 20 000 requests."""
        return {
            "total": self._total,
            "statuses": dict(self._statuses),
            "weight_per_minute": [
                {"minute_ms": minute * _MINUTE_MS, "client": client, "weight": weight}
                for (minute, client), weight in sorted(self._weights.items())
            ],
            "requests": [asdict(request) for request in self._requests],
        }
