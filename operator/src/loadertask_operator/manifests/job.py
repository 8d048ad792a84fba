"""The worker Job of one attempt (design operator §8, §10). Pure: typed values in, manifest out.

Order of layers: our defaults, the task's ``podTemplate`` (it adds), then what the contract fixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loadertask_contract.environment import render_environment
from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from
from loadertask_operator import names
from loadertask_operator.configuration import Configuration
from loadertask_operator.manifests.environment import environment_of, has_ca
from loadertask_operator.manifests.merge import merged
from loadertask_operator.schema import KafkaCredentialsRef, LoaderTask, Spec, WorkerSpec
from loadertask_operator.status import CurrentAttempt

_NON_ROOT_UID = 65532
_TEMPORARY_DIRECTORY = "/tmp"  # noqa: S108
# One file at a time, and the largest day of trades is a few hundred megabytes.
_TEMPORARY_SIZE = "2Gi"
_BEYOND_A_SHARD = (Recovery.GIVE_UP, Recovery.RETRY_AFTER_BAN)
# Named in the Job's own condition, the disruption is known even when its pod is gone.
_DISRUPTED = {"type": names.DISRUPTION, "status": "True"}
# Another try of a single shard helps in none of these; the API wants them in order.
_HOPELESS_CODES = sorted(code.value for code in ExitCode if recovery_from(code) in _BEYOND_A_SHARD)


def render_job(
    task: LoaderTask, configuration: Configuration, attempt: CurrentAttempt
) -> dict[str, Any]:
    """The manifest of the Job that runs ``attempt``.

    Raises:
        ValueError: the task has no usable spec or environment (see ``environment_of``).

    """
    environment = environment_of(task, configuration, attempt)
    if task.spec is None:
        raise ValueError("; ".join(task.spec_problems))
    labels = names.labels(task.name, attempt.number)
    variables = [
        *(
            {"name": name, "value": value}
            for name, value in render_environment(environment).items()
        ),
        *_secret_variables(task.spec, configuration),
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": attempt.job_name,
            "namespace": task.namespace,
            "labels": labels | _queue_label(task.spec),
            "ownerReferences": [_owner_reference(task)],
        },
        "spec": {
            **_shape(task.spec),
            # A pod that is being evicted must be gone before anything else writes to the topic.
            "podReplacementPolicy": "Failed",
            "template": _pod_template(task.spec, configuration, labels, variables),
        },
    }


def _shape(spec: Spec) -> dict[str, Any]:
    """How many pods, and what becomes of a failed one (decision 065)."""
    if spec.parallelism == 1:
        # One attempt is one pod: what comes after it is decided by the operator.
        fail = {"action": "FailJob", "onPodConditions": [_DISRUPTED]}
        return {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podFailurePolicy": {"rules": [fail]},
        }
    hopeless = {"containerName": names.CONTAINER, "operator": "In", "values": _HOPELESS_CODES}
    return {
        "completionMode": "Indexed",
        "completions": spec.parallelism,
        "parallelism": spec.parallelism,
        "backoffLimitPerIndex": spec.backoff_limit,
        "maxFailedIndexes": 0,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": hopeless},
                {"action": "Ignore", "onPodConditions": [_DISRUPTED]},
            ]
        },
    }


def _owner_reference(task: LoaderTask) -> dict[str, Any]:
    # blockOwnerDeletion would need a right on finalizers and make every delete of a task wait.
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": task.name,
        "uid": task.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _queue_label(spec: Spec) -> dict[str, str]:
    return {names.QUEUE_LABEL: spec.queue_name} if spec.queue_name else {}


def _pod_template(
    spec: Spec, configuration: Configuration, labels: dict[str, str], variables: list[Any]
) -> dict[str, Any]:
    contract = {
        "metadata": {"labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "containers": [_container(spec, configuration, variables)],
            **_certificates(spec, configuration),
            **_service_account(spec.worker),
        },
    }
    asked = spec.worker.pod_template or {}
    return merged(merged(merged(_defaults(spec), asked), _temporary_files(asked)), contract)


def _temporary_files(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A place for large files of the archive, unless the task mounts one itself."""
    if any(mount.get("mountPath") == _TEMPORARY_DIRECTORY for mount in _mounts(asked)):
        return {}
    name = "loader-temporary-files"
    mount = {"name": name, "mountPath": _TEMPORARY_DIRECTORY}
    volume = {"name": name, "emptyDir": {"sizeLimit": _TEMPORARY_SIZE}}
    return {
        "spec": {
            "containers": [{"name": names.CONTAINER, "volumeMounts": [mount]}],
            "volumes": [volume],
        }
    }


def _mounts(asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mounts of a template that nobody has checked: nonsense is the API server's to refuse."""
    template = asked.get("spec")
    containers = template.get("containers") if isinstance(template, Mapping) else None
    for container in containers if isinstance(containers, list) else ():
        mounts = container.get("volumeMounts") if isinstance(container, Mapping) else None
        yield from (
            mount
            for mount in (mounts if isinstance(mounts, list) else ())
            if isinstance(mount, Mapping)
        )


def _defaults(spec: Spec) -> dict[str, Any]:
    return {
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": spec.stop_timeout_seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NON_ROOT_UID,
                "runAsGroup": _NON_ROOT_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": names.CONTAINER,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        }
    }


def _container(spec: Spec, configuration: Configuration, variables: list[Any]) -> dict[str, Any]:
    contract_names = {variable["name"] for variable in variables}
    extra = [dict(item) for item in spec.worker.env if item.get("name") not in contract_names]
    container: dict[str, Any] = {
        "name": names.CONTAINER,
        "image": spec.worker.image or configuration.worker_image,
        "env": [*extra, *variables],
    }
    if spec.worker.image_pull_policy:
        container["imagePullPolicy"] = spec.worker.image_pull_policy
    if spec.worker.resources:
        container["resources"] = dict(spec.worker.resources)
    if has_ca(spec, configuration):
        container["volumeMounts"] = [
            {"name": "kafka-ca", "mountPath": names.CA_DIRECTORY, "readOnly": True}
        ]
    return container


def _service_account(worker: WorkerSpec) -> dict[str, Any]:
    return (
        {"serviceAccountName": worker.service_account_name} if worker.service_account_name else {}
    )


def _certificates(spec: Spec, configuration: Configuration) -> dict[str, Any]:
    if not has_ca(spec, configuration):
        return {}
    reference = spec.kafka.ca_secret_ref
    name = reference.name if reference else configuration.worker_ca_secret
    key = (reference and reference.key) or configuration.worker_ca_key
    item = {"key": key, "path": names.CA_PATH.removeprefix(f"{names.CA_DIRECTORY}/")}
    return {"volumes": [{"name": "kafka-ca", "secret": {"secretName": name, "items": [item]}}]}


def _secret_variables(spec: Spec, configuration: Configuration) -> list[dict[str, Any]]:
    """Credentials by reference: the operator has no right to read Secrets."""
    variables = []
    kafka = spec.kafka.credentials_secret_ref or KafkaCredentialsRef(
        name=configuration.worker_kafka_secret or ""
    )
    if kafka.name:
        user_key = kafka.username_key or configuration.worker_kafka_user_key
        password_key = kafka.password_key or configuration.worker_kafka_password_key
        variables += [
            _from_secret("KAFKA_USER_PRODUCER", kafka.name, user_key),
            _from_secret("KAFKA_PASSWORD_PRODUCER", kafka.name, password_key),
        ]
    binance = spec.binance.credentials_secret_ref
    binance_secret = binance.name if binance else configuration.binance_secret
    if binance_secret:
        variables += [
            _from_secret("BINANCE_API_KEY", binance_secret, "api-key"),
            _from_secret("BINANCE_API_SECRET", binance_secret, "api-secret"),
        ]
    return variables


def _from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
