"""Addresses of brokers and of the venue: whether they can be dialled, not whether one answers."""

from __future__ import annotations

import ipaddress
import re

# RFC 1123, and the underscore that some name servers allow.
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MAX_HOST_CHARACTERS = 253
_MAX_PORT = 65_535
_SERVER = re.compile(r"(?P<host>[^\s,:]+):(?P<port>\d+)")
# User, query and fragment have no place in the base of an address.
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(\[(?P<ip>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s/?#@:\[\]]+))(:(?P<port>\d+))?"
    r"(/[^\s?#]*)?"
)


# Whoever writes a user into an address writes a password beside it.
_LOGIN = re.compile(r"(?<=//).*@|^[^/]*@", re.DOTALL)


def without_login(text: str) -> str:
    """An address as it may be shown."""
    return _LOGIN.sub("***@", text)


def parse_servers(text: str) -> str:
    """``text`` when it is a list of brokers.

    Raises:
        ValueError: it is not.

    """
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if not match:
            shown = without_login(text)
            raise ValueError(f"{shown!r} is not a list of brokers: host:port,host:port")
        _check_host(match["host"])
        _check_port(match["port"])
    return text


def parse_http_url(text: str) -> str:
    """``text`` when it is the base of an http or https address.

    Raises:
        ValueError: it is not.

    """
    return _url(text, ("http", "https"), "is not an http:// or https:// address")


def parse_ws_url(text: str) -> str:
    """``text`` when it is the base of a WebSocket address.

    Raises:
        ValueError: it is not.

    """
    return _url(text, ("ws", "wss"), "is not a ws:// or wss:// address")


def _url(text: str, schemes: tuple[str, ...], complaint: str) -> str:
    match = _URL.fullmatch(text)
    if not match or match["scheme"] not in schemes:
        shown = without_login(text)
        raise ValueError(f"{shown!r} {complaint}: scheme://host or scheme://host:port")
    if match["ip"]:
        _check_ipv6(match["ip"])
    else:
        _check_host(match["host"])
    if match["port"]:
        _check_port(match["port"])
    return text


def _check_host(host: str) -> None:
    labels = host.removesuffix(".").split(".")
    if len(host) > _MAX_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{host!r} is not the name or address of a host")


def _check_ipv6(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError(f"'[{text}]' is not an IPv6 address") from None


def _check_port(digits: str) -> None:
    if len(digits) > len(str(_MAX_PORT)) or not 1 <= int(digits) <= _MAX_PORT:
        raise ValueError(f"port {digits} is not from 1 to {_MAX_PORT}")
