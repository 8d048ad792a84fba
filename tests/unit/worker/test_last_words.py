from __future__ import annotations

from pathlib import Path

from loadertask_contract.events import EventStatus
from loadertask_contract.termination import parse_termination
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.inputs import LoadFailed
from loadertask_worker.last_words import write_last_words
from loadertask_worker.lifecycle import Identity, Lifecycle, advance

_, (EVENT,) = advance(
    Lifecycle(Identity("wf-1", "BTCUSDT", "api_candles_1m", "p"), started_s=0),
    LoadFailed(ConfigurationError.of("CA_PATH", "is odd")),
    1.0,
)


def test_the_last_event_is_left_where_kubernetes_reads_it(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    write_last_words(EVENT, log)
    message = parse_termination(log.read_text())
    assert (message.payload.status, message.reason) == (EventStatus.ERROR, "BadConfiguration")


def test_outside_a_container_nothing_is_written(tmp_path: Path) -> None:
    write_last_words(EVENT, tmp_path / "termination-log")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write_last_words(EVENT, tmp_path)
