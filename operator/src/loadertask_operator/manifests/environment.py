"""What a worker is told: the contract's environment for one attempt of a task. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from loadertask_contract.environment import WorkerEnvironment
from loadertask_operator import names
from loadertask_operator.configuration import Configuration
from loadertask_operator.schema import LoaderTask, Spec, attempt_of
from loadertask_operator.status import CurrentAttempt

# Our last stop may bear the time of a broker whose clock is ahead, and a moment has whole seconds.
_STOP_MARGIN = timedelta(seconds=2)


def next_attempt(task: LoaderTask, number: int = 1) -> CurrentAttempt:
    """The identity of an attempt before anything of it exists.

    Raises:
        ValueError: the task has no usable spec.

    """
    return attempt_of(task.name, task.uid, _spec(task), number)


def environment_of(
    task: LoaderTask, configuration: Configuration, attempt: CurrentAttempt
) -> WorkerEnvironment:
    """The environment of an attempt, without the secrets, which are referenced in the manifest.

    Raises:
        ValueError: the task has no usable spec, or it renders to nothing a worker accepts
            (pydantic's ValidationError, whose locations are the worker's variables).

    """
    spec = _spec(task)
    candidate = WorkerEnvironment(
        queue_id=task.queue_id,
        symbol=spec.symbol,
        load_type=spec.type,
        time_range=spec.time_range,
        interval=spec.effective_interval,
        kafka_topic=task.topic,
        producer_id=attempt.producer_id,
        kafka_bootstrap_servers=spec.kafka.bootstrap_servers or configuration.worker_kafka_servers,
        ca_path=names.CA_PATH if has_ca(spec, configuration) else None,
        queue_control_topic=configuration.queue_control_topic,
        queue_events_topic=configuration.queue_events_topic,
        binance_api_url=spec.binance.api_url or configuration.binance_api_url,
        binance_ws_url=spec.binance.ws_url or configuration.binance_ws_url,
        archive_url=spec.binance.archive_url or configuration.binance_archive_url,
        telemetry_interval_s=spec.telemetry_interval,
        debug=spec.debug,
        control_since=_control_since(task),
        task_since=task.creation_time,
        # Which of them it is, Kubernetes tells each worker (JOB_COMPLETION_INDEX).
        shard_count=spec.parallelism,
    )
    return candidate.model_copy(
        update={"explicit_security_protocol": _explicit_protocol(spec, configuration)}
    )


def _control_since(task: LoaderTask) -> datetime:
    """From when on a stop is meant for this attempt.

    Those before a resume were answered, and those before its turn were for another task of its
    queue id. Of a task that had its queue to itself, all count from its creation on.
    """
    turn = task.status.turn
    ours = (task.status.resumed_at, turn.since if turn else None)
    return max([task.creation_time, *(since + _STOP_MARGIN for since in ours if since)])


def has_ca(spec: Spec, configuration: Configuration) -> bool:
    """Whether the worker gets a CA for the brokers."""
    return spec.kafka.ca_secret_ref is not None or configuration.worker_ca_secret is not None


def _explicit_protocol(spec: Spec, configuration: Configuration) -> object:
    """The operator's own explicit protocol holds for workers that talk to the same brokers."""
    servers = spec.kafka.bootstrap_servers or configuration.explicit_worker_servers
    return None if servers else configuration.kafka_security_protocol


def _spec(task: LoaderTask) -> Spec:
    if task.spec is None:
        raise ValueError("; ".join(task.spec_problems))
    return task.spec
