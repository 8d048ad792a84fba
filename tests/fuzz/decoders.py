"""Every decoder that is fuzzed, by name."""

from __future__ import annotations

from tests.fuzz.contract_decoders import CONTRACT_DECODERS
from tests.fuzz.venue_decoders import VENUE_DECODERS

DECODERS = {decoder.name: decoder for decoder in (*CONTRACT_DECODERS, *VENUE_DECODERS)}
