"""The way out: which proxy the environment wants for an address, looked up once."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from loadertask_worker.errors import ConfigurationError


def proxy_of(base_url: str) -> str | None:
    """The proxy for all requests below an address: ``HTTPS_PROXY``, ``NO_PROXY`` and the like.

    aiohttp's ``trust_env`` would look it up in a thread for each request, and send what a
    ``.netrc`` holds for the address.

    Raises:
        ConfigurationError: it is no address of a proxy.

    """
    address = urlsplit(base_url)
    proxy = getproxies().get(address.scheme)
    if not proxy or not address.hostname or proxy_bypass(address.hostname):
        return None
    if urlsplit(proxy).scheme not in {"http", "https"} or not urlsplit(proxy).hostname:
        # Not shown: it may hold a password.
        message = "is no proxy: write http://host:port"
        raise ConfigurationError.of(f"{address.scheme.upper()}_PROXY", message)
    return proxy
