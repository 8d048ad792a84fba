"""The bodies and headers of the venue's answers, good and bad, as aiohttp responses.

Errors of the API are JSON; those of the edge before it (firewall, load balancer) are HTML or empty.
"""

from __future__ import annotations

import json
import zlib

from aiohttp import web

from loadertask_devstack.venue.errors import VenueError
from loadertask_devstack.venue.limits import Verdict

JSON_TYPE = "application/json;charset=UTF-8"
_SMALLEST_COMPRESSED_BYTES = 1024
_HTML = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n<hr><center>cloudfront</center>\r\n</body>\r\n</html>\r\n"
)


def json_text(text: str, status: int = 200) -> web.Response:
    """An answer whose body is JSON already."""
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": JSON_TYPE})


def json_answer(value: object, status: int = 200) -> web.Response:
    """An answer of the API; without spaces, names outside ASCII as they are."""
    return json_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False), status)


def error(code: int, message: str, status: int) -> web.Response:
    """The API's error body."""
    return json_answer({"code": code, "msg": message}, status)


def refusal(refused: VenueError) -> web.Response:
    """400 with code and text."""
    return error(refused.code, refused.message, 400)


def limited(verdict: Verdict) -> web.Response:
    """429 or 418 with Retry-After and code -1003."""
    response = error(-1003, verdict.message, verdict.status)
    response.headers["Retry-After"] = str(verdict.retry_after_s)
    return response


def html(status: int, title: str) -> web.Response:
    """An answer of the edge."""
    return web.Response(
        status=status,
        body=_HTML.format(title=title).encode(),
        headers={"Content-Type": "text/html"},
    )


def empty(status: int) -> web.Response:
    """An answer without body and without type."""
    response = web.Response(status=status, body=b"")
    response.headers.pop("Content-Type", None)
    return response


def restricted() -> web.Response:
    """451 with code 0: the caller's country is not served."""
    message = (
        "Service unavailable from a restricted location according to 'b. Eligibility' in "
        "https://www.binance.com/en/terms. Please contact customer service if you believe you "
        "received this message in error."
    )
    return error(0, message, 451)


def unknown_path(accept: str) -> web.Response:
    """404: HTML only for those who ask for HTML."""
    return html(404, "404 Not Found") if "text/html" in accept else empty(404)


def compressed(response: web.Response, accept_encoding: str) -> None:
    """Compress the body in place (gzip, fastest level) where the client takes it."""
    body = response.body
    if not isinstance(body, bytes) or len(body) < _SMALLEST_COMPRESSED_BYTES:
        return
    if "gzip" in accept_encoding:
        packer = zlib.compressobj(level=1, wbits=31)
        response.body = packer.compress(body) + packer.flush()
        response.headers["Content-Encoding"] = "gzip"
