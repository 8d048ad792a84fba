"""The first contact with the brokers: reached, or the true reason why not.

aiokafka's clients say "Unable to bootstrap" whatever the cause; a single connection tells a wrong
password from a wrong CA from a broker that is down.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.security import SASL_MECHANISM
from loadertask_worker.patience import Patience, answer_bound_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_PAUSE_AFTER_BREAK_S = 0.2


class BrokerConnection:
    """A connection to a broker, made anew when it breaks."""

    def __init__(self, access: KafkaAccess, patience_s: float, connection: Any) -> None:
        self.access, self.patience_s = access, patience_s
        self._connection = connection

    async def ask(self, request: Any) -> Any:
        """The answer to a request that may safely be sent twice; the caller bounds the wait.

        Raises:
            LoadError: the connection broke and no other could be made, as `broker_connection`.

        """
        while True:
            try:
                return await self._connection.send(request)
            except (KafkaError, OSError) as error:
                log.warning("the connection to Kafka broke, another is made: %r", error)
                self.close()
                await asyncio.sleep(_PAUSE_AFTER_BREAK_S)
                self._connection = await _connected(self.access, self.patience_s)

    def close(self) -> None:
        """Hang up."""
        with suppress(KafkaError, OSError):
            self._connection.close()


@asynccontextmanager
async def broker_connection(
    access: KafkaAccess, patience_s: float
) -> AsyncIterator[BrokerConnection]:
    """A connection to the first broker that answers, logged in.

    Raises:
        ConfigurationError: a broker answers, and the CA, the user or the protocol is wrong.
        SinkUnavailableError: none answers within ``patience_s``.

    """
    broker = BrokerConnection(access, patience_s, await _connected(access, patience_s))
    try:
        yield broker
    finally:
        broker.close()


async def _connected(access: KafkaAccess, patience_s: float) -> Any:
    patience = Patience(patience_s)
    while True:
        begun_s = time.monotonic()
        connection, reasons = await _first_connection(access, patience)
        if connection:
            return connection
        took_s = time.monotonic() - begun_s
        delay_s = patience.delay_after_failure(took_s, random.random())  # noqa: S311
        if delay_s is None:
            what = f"{reasons}; is KAFKA_BOOTSTRAP_SERVERS right?"
            raise SinkUnavailableError(patience_s, what)
        log.warning("Kafka is not reachable yet: %s; again in %.1f s", reasons, delay_s)
        await asyncio.sleep(delay_s)


async def _first_connection(access: KafkaAccess, patience: Patience) -> tuple[Any, str]:
    reasons = []
    limit_s = answer_bound_s(min(_CONNECT_S, patience.left_s))
    for host, port in access.servers:
        try:
            async with asyncio.timeout(limit_s):
                return await create_conn(host, port, **access.connection_options), ""
        except (KafkaError, OSError, TimeoutError) as error:
            if problem := _misconfiguration(error, access, f"{host}:{port}"):
                raise problem from error
            reasons.append(f"{host}:{port}: {_reason(error, access)}")
    return None, ", ".join(reasons)


def _reason(error: Exception, access: KafkaAccess) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, ConnectionResetError | KafkaConnectionError):
        # A listener of another protocol hangs up without a word, as a broker in trouble does.
        wanted = f"another KAFKA_SECURITY_PROTOCOL than {access.protocol}"
        return f"{text} (it hung up; does it want {wanted}?)"
    return text


def _misconfiguration(
    error: Exception, access: KafkaAccess, broker: str
) -> ConfigurationError | None:
    """What the operator of the task must change, where the error shows it."""
    match error:
        case SaslAuthenticationFailed() | IllegalSaslStateError():
            message = f"{broker} refuses user {access.user!r} with this password"
            return ConfigurationError.of("KAFKA_PASSWORD_PRODUCER", message)
        case UnsupportedSaslMechanismError():
            message = f"{broker} does not log in by {SASL_MECHANISM}"
            return ConfigurationError.of("KAFKA_SECURITY_PROTOCOL", message)
        case ssl.SSLCertVerificationError():
            message = f"does not vouch for {broker}: {error.verify_message}"
            return ConfigurationError.of("CA_PATH", message)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            message = f"{access.protocol} needs TLS, which {broker} does not speak"
            return ConfigurationError.of("KAFKA_SECURITY_PROTOCOL", message)
    return None
