"""Every decoder keeps its promise: on its seeds, on past findings, on seeds gone wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.decoders import DECODERS

# Of each decoder, at each run: `make fuzz` is for the long hunt.
EXAMPLES = 40
FINDINGS = Path(__file__).parents[1] / "fuzz" / "findings"
CASES = [
    pytest.param(decoder.name, data, id=f"{decoder.name}-{label}")
    for decoder in DECODERS.values()
    for label, data in [
        *((f"seed-{number}", seed) for number, seed in enumerate(decoder.seeds)),
        *(
            (path.name[:12], path.read_bytes())
            for path in sorted(FINDINGS.glob(f"{decoder.name}/*"))
        ),
    ]
]
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["", "0", "-1", "1e3", "00", "NaN", "1" * 40, "BTCUSDT", "1m"]),
)  # fmt: skip
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


@pytest.mark.parametrize(("name", "data"), CASES)
def test_a_seed_or_finding_breaks_no_decoder(name: str, data: bytes) -> None:
    DECODERS[name].check(data)


def test_every_finding_is_of_a_decoder() -> None:
    assert {path.name for path in FINDINGS.iterdir() if path.is_dir()} <= set(DECODERS)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_no_bytes_break_a_decoder(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([b"", *DECODERS[name].seeds]))
    start = data.draw(st.integers(0, len(seed)))
    stop = data.draw(st.integers(start, len(seed)))
    DECODERS[name].check(seed[:start] + data.draw(st.binary(max_size=16)) + seed[stop:])


@pytest.mark.parametrize("name", [n for n, d in DECODERS.items() if d.seeds[0][:1] in (b"{", b"[")])
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_no_json_breaks_a_decoder(name: str, data: st.DataObject) -> None:
    whole = [seed for seed in DECODERS[name].seeds if b"\x00" not in seed]
    changed = _changed(json.loads(data.draw(st.sampled_from(whole))), data)
    DECODERS[name].check(json.dumps(changed).encode())


def _changed(value: Any, data: st.DataObject) -> Any:
    """``value`` with one place of it replaced, left out or repeated."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 4)) == 0:
        return data.draw(_values)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = data.draw(st.sampled_from(keys))
    if data.draw(st.integers(0, 4)) > 0:
        value[key] = _changed(value[key], data)
    elif isinstance(value, list) and data.draw(st.booleans()):
        value.insert(key, value[key])
    else:
        del value[key]
    return value
