from __future__ import annotations

import re
from pathlib import Path

from loadertask_operator.metrics import Metrics

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "operator-metrics.md"


def test_every_metric_has_one_line_in_the_documentation_with_its_type_and_labels() -> None:
    row = re.compile(r"^\| `(loadertask_\w+)` \| (\w+) \|([^|]*)\|", flags=re.MULTILINE)
    documented = {
        name: (kind, re.findall(r"`(\w+)`", labels))
        for name, kind, labels in row.findall(DOCUMENT.read_text())
    }
    metrics = Metrics()
    served = {}
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        collector = metrics.registry._names_to_collectors[family.name]
        served[name] = (family.type, list(collector._labelnames))
    assert documented == served
