"""What Kafka's answers mean for a load: which of our errors, and which right is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTransactionTimeout,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    OffsetMetadataTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from loadertask_worker.errors import (
    DeliveryUnknownError,
    FencedError,
    LoadError,
    SinkRejectedError,
    SinkUnavailableError,
)

if TYPE_CHECKING:
    from loadertask_worker.kafka.terms import Terms

_FENCED = (ProducerFenced, InvalidProducerEpoch)


def meaning(error: BaseException, terms: Terms, records: int) -> LoadError:
    """Our error for what befell ``records`` on their way, chained from aiokafka's."""
    found: LoadError
    match root_of(error):
        case TopicAuthorizationFailedError():
            what = "the user may not write there: grant the ACL Write"
            found = SinkRejectedError(terms.topic, what)
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            size = terms.pace.batch_bytes
            what = f"its max.message.bytes is below {size}: raise it to 1048588"
            found = SinkRejectedError(terms.topic, what)
        case KafkaConnectionError():
            found = SinkUnavailableError(terms.patience_s, str(error))
        case ProducerFenced() | InvalidProducerEpoch():
            found = FencedError(terms.transactional_id)
        case root:
            found = DeliveryUnknownError(records, repr(root))
    found.__cause__ = error
    return found


def missing_right(error: BaseException, terms: Terms) -> str | None:
    """The right (or setting) without which a way of delivery cannot be; None for other trouble."""
    match root_of(error):
        case TransactionalIdAuthorizationFailed():
            return f"ACL Write on transactional id {terms.transactional_id}"
        case GroupAuthorizationFailedError():
            return f"ACL Read on group {terms.group}"
        case TopicAuthorizationFailedError():
            return f"ACL Read on topic {terms.topic}"
        case InvalidTransactionTimeout():
            return "a larger transaction.max.timeout.ms of the brokers"
        case OffsetMetadataTooLargeError():
            return "a larger offset.metadata.max.bytes of the brokers"
    return None


def root_of(error: BaseException) -> BaseException:
    """The broker's own word: aiokafka's sender wraps whatever ends it."""
    while type(error).__name__ == "KafkaError" and error.__cause__ is not None:
        error = error.__cause__
    return error
