"""One GET of the venue's REST interface: what was answered, or one of our errors. Counted."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

from loadertask_worker import metrics
from loadertask_worker.binance.answers import Answer
from loadertask_worker.binance.proxies import proxy_of
from loadertask_worker.errors import ConfigurationError, LoadError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A full page is 200 kB. Nothing the venue sends is near this.
_MAX_BODY_BYTES = 16 * 1024 * 1024

Params = dict[str, str | int]


def venue_session(base_url: str) -> aiohttp.ClientSession:
    """Connections to the venue at ``base_url``; honours the proxy variables of the environment."""
    return aiohttp.ClientSession(
        base_url=base_url.rstrip("/") + "/",
        proxy=proxy_of(base_url),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": "loadertask-worker", "Accept": "application/json"},
        read_bufsize=1024 * 1024,
    )


async def answer_to(
    session: aiohttp.ClientSession, endpoint: str, params: Params, limit_s: float
) -> Answer:
    """What the venue answers within ``limit_s`` seconds, whatever its status.

    Raises:
        SourceUnavailableError: nothing, too late, cut short or without end.
        ConfigurationError: the address is none.

    """
    try:
        async with (
            asyncio.timeout(limit_s),
            session.get(f"api/v3/{endpoint}", params=params) as response,
        ):
            return Answer(response.status, response.headers, await _read(response))
    except TimeoutError as error:
        raise SourceUnavailableError(f"no answer within {limit_s:.1f} s") from error
    except (aiohttp.RedirectClientError, UnicodeError) as error:
        # The name of a host in our own address was looked at before.
        what = f"it leads to what is no address: {error}; is BINANCE_API_URL right?"
        raise SourceUnavailableError(what) from error
    except aiohttp.InvalidURL as error:
        raise ConfigurationError.of("BINANCE_API_URL", f"is no address: {error}") from error
    except aiohttp.ClientProxyConnectionError as error:
        proxy = f"{error.host}:{error.port}"
        what = f"no connection to the proxy {proxy} (HTTPS_PROXY, HTTP_PROXY): {error.os_error}"
        raise SourceUnavailableError(what) from error
    except aiohttp.ClientConnectorError as error:
        what = f"{error}; is BINANCE_API_URL right?"
        raise SourceUnavailableError(what) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceUnavailableError(f"{type(error).__name__}: {error}") from error


@contextmanager
def counted(endpoint: str) -> Iterator[None]:
    """Count a request by how it ends."""
    outcome = "Cancelled"
    begun_s = time.monotonic()
    try:
        yield
        outcome = "ok"
    except LoadError as error:
        outcome = error.reason
        raise
    finally:
        metrics.REQUESTS.labels(endpoint, outcome).inc()
        metrics.REQUEST_SECONDS.labels(endpoint).observe(time.monotonic() - begun_s)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise SourceUnavailableError(f"an answer of more than {_MAX_BODY_BYTES} bytes")
    return bytes(body)
