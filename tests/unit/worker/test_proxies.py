"""The proxies of the environment."""

from __future__ import annotations

import pytest

from loadertask_worker.binance.proxies import proxy_of
from loadertask_worker.binance.rest import binance_rest
from loadertask_worker.errors import ConfigurationError, SourceUnavailableError

VENUE = "https://api.binance.com/"


@pytest.fixture(autouse=True)
def no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxy_of_the_scheme_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://user:secret@proxy.example:3128")
    assert proxy_of(VENUE) == "http://user:secret@proxy.example:3128"
    assert proxy_of("http://replay:8080") is None


@pytest.mark.parametrize("excepted", ["api.binance.com", ".binance.com", "*"])
def test_an_address_may_be_excepted(monkeypatch: pytest.MonkeyPatch, excepted: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", f"localhost,{excepted}" if excepted != "*" else excepted)
    assert proxy_of(VENUE) is None


@pytest.mark.parametrize("wrong", ["proxy.example:3128", "socks5://proxy.example:1080", "http://"])
def test_what_is_no_proxy_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", wrong)
    with pytest.raises(ConfigurationError, match=r"HTTPS_PROXY.*is no proxy: write http://"):
        proxy_of(VENUE)


async def test_a_proxy_that_is_not_there_is_told_from_a_venue_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1")
    async with binance_rest("http://venue.example", patience_s=0.1, weight_share=0.9) as venue:
        with pytest.raises(SourceUnavailableError) as raised:
            await venue.exchange_info("BTCUSDT")
    assert "no connection to the proxy 127.0.0.1:1 (HTTPS_PROXY, HTTP_PROXY)" in str(raised.value)
    assert "secret" not in str(raised.value)
