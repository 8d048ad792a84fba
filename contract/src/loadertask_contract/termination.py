"""/dev/termination-log: the last event of a worker, readable with Kafka down (contract §3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from loadertask_contract.events import Event, QueueEvent, fitting_progress
from loadertask_contract.messages import UnreadableMessageError, parse_object

# The kubelet keeps 4096 bytes: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
MAX_TERMINATION_BYTES = 4096
_MAX_MESSAGE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class TerminationMessage:
    """The terminal event, or the last ``loading`` when the worker asks to be tried again."""

    payload: QueueEvent
    reason: str | None = None
    banned_until: datetime | None = None


def encode_termination(event: Event) -> bytes:
    """At most 4096 bytes of JSON; a long message is cut, never the rest."""
    body = event.payload.model_dump(mode="json")
    body["message"] = body["message"][:_MAX_MESSAGE_CHARACTERS]
    extra = event.progress.model_dump(mode="json", include={"reason", "banned_until"})
    body.update({name: value for name, value in extra.items() if value is not None})
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def parse_termination(text: str) -> TerminationMessage:
    """Parse the message of a terminated container.

    Raises:
        UnreadableMessageError: it is not ours (a crash leaves log lines or nothing there).

    """
    body = parse_object(text.encode())
    try:
        payload = QueueEvent.model_validate(body)
    except ValidationError as error:
        raise UnreadableMessageError("not_an_event", str(error.error_count())) from error
    extra = fitting_progress(
        {"reason": body.get("reason"), "banned-until": body.get("banned_until")}
    )
    return TerminationMessage(payload, extra.reason, extra.banned_until)
