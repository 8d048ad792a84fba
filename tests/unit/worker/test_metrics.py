from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from loadertask_contract.events import EventStatus
from loadertask_worker import metrics
from loadertask_worker.binance.connection import Leaving


def test_the_list_is_what_the_registry_holds() -> None:
    families = [each for each in metrics.REGISTRY.collect() if not each.name.startswith("process_")]
    assert sorted((family.name, family.type, family.documentation) for family in families) == (
        sorted((m.name.removesuffix("_total"), m.kind, m.meaning) for m in metrics.ALL)
    )
    assert all(metric.name.startswith(metrics.PREFIX) for metric in metrics.ALL)


def test_what_has_not_happened_yet_is_counted_as_zero_and_not_left_out() -> None:
    script = "from loadertask_worker import metrics; print(metrics.text().decode())"
    text = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for status in EventStatus:
        assert samples["loadertask_worker_events_sent_total", (status.value,)] == 0
    assert samples["loadertask_worker_records_committed_total", ()] == 0


def test_every_metric_is_counted_somewhere_and_by_the_values_that_are_documented() -> None:
    package = Path(metrics.__file__).parent
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    documented = {metric.name.removesuffix("_total"): metric.labels for metric in metrics.ALL}
    for variable, collector in vars(metrics).items():
        if not isinstance(collector, Counter | Gauge | Histogram):
            continue
        assert f"metrics.{variable}." in source, variable
        used = set(re.findall(rf'metrics\.{variable}\.labels\("(\w+)"\)', source))
        known = {v for values in documented[collector.describe()[0].name].values() for v in values}
        assert used <= known, variable


def test_every_cause_of_a_connection_is_documented() -> None:
    (connects,) = [each for each in metrics.ALL if each.name.endswith("stream_connects_total")]
    assert set(connects.labels["cause"]) == {"first", *(why.value for why in Leaving)}


def test_no_metric_is_about_when_it_was_created() -> None:
    assert b"_created" not in metrics.text()
