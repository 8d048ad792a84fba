"""A LoaderTask manifest as a local worker's environment, rendered by the operator's own code.

What a cluster would add is added here: identity and creation time, the defaults of the CRD (the
operator's models repeat them), Secrets and mounted files. It starts nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from loadertask_contract.environment import WorkerEnvironment
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.state import LOADER_USER, TRANSACTIONAL_USER
from loadertask_devstack.manifest_schema import schema_problems
from loadertask_operator import names
from loadertask_operator.configuration import read_configuration
from loadertask_operator.manifests.environment import next_attempt
from loadertask_operator.manifests.job import render_job
from loadertask_operator.schema import LoaderTask, parse_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from loadertask_devstack.kafka import Kafka

CREDENTIALS_SECRET = "kafka-loader"  # noqa: S105 - the name of a Secret
CA_SECRET = "kafka-ca"  # noqa: S105
# Who demands it has given his loader the right, as the platform does not by itself.
_EXACTLY_ONCE = {"name": "LOADER_DELIVERY", "value": "exactly_once"}


class _KubernetesLoader(yaml.SafeLoader):
    """Reads YAML as kubectl does, to which a date without quotes is text."""


_KubernetesLoader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class LocalAttempt:
    """What the local worker processes of a task are started with."""

    task: LoaderTask
    environment: Mapping[str, str]

    @property
    def environments(self) -> list[Mapping[str, str]]:
        """That of each shard, as an Indexed Job tells it which one it is."""
        count = int(self.environment.get("LOADER_SHARD_COUNT", "1"))
        if count == 1:
            return [self.environment]
        return [{**self.environment, "JOB_COMPLETION_INDEX": str(index)} for index in range(count)]


def read_manifest(path: Path) -> LoaderTask:
    """The task of a manifest file. Raises DevstackError naming the file and what is wrong."""
    try:
        content = yaml.load(path.read_text(), _KubernetesLoader)  # noqa: S506 - a safe one
    except OSError as error:
        raise DevstackError(f"{path}: {error.strerror}", "name a file of examples/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DevstackError(f"{path} is not YAML: {error}", "correct the line it names") from None
    expected = {"apiVersion": names.API_VERSION, "kind": names.KIND}
    for field, value in expected.items():
        found = content.get(field) if isinstance(content, dict) else None
        if found != value:
            raise DevstackError(
                f"{path}: {field} is {found!r}", f"write '{field}: {value}', as in examples/"
            )
    stored = _as_stored(path, content)
    if problems := schema_problems(stored):
        raise DevstackError("; ".join(problems), "kubectl explain and docs/reference say what fits")
    task = parse_task(stored)
    if task.spec is None:
        raise DevstackError("; ".join(task.spec_problems), "correct the manifest")
    return task


def local_attempt(task: LoaderTask, kafka: Kafka, venue_url: str) -> LocalAttempt:
    """The first attempt of a task, against the local Kafka and venue replay.

    Raises:
        DevstackError: the manifest is wrong; every problem is named.

    """
    configuration = read_configuration(
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
            "WORKER_KAFKA_SECRET": CREDENTIALS_SECRET,
            "WORKER_CA_SECRET": CA_SECRET,
            "BINANCE_API_URL": venue_url,
            "BINANCE_ARCHIVE_URL": venue_url,
            "BINANCE_WS_URL": f"{venue_url.replace('http', 'ws', 1)}/ws",
        }
    )
    try:
        job = render_job(task, configuration, next_attempt(task))
    except ValidationError as error:
        raise DevstackError(
            "; ".join(_problem(each) for each in error.errors()),
            "correct the field of the manifest that becomes this variable",
        ) from None
    return LocalAttempt(task, _environment(job, kafka))


def _as_stored(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The object as an API server would hand it out."""
    metadata = content.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise DevstackError(f"{path}: metadata.name is missing", "give the task a name")
    added = {
        "uid": str(uuid.uuid4()),
        "namespace": "local",
        "resourceVersion": "1",
        "creationTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {**content, "metadata": {**metadata, **added}}


def _problem(error: ErrorDetails) -> str:
    """The variable of the worker, for the manifest's field has another name in the model."""
    field = WorkerEnvironment.model_fields.get(str(error["loc"][0]))
    variable = field.alias if field else error["loc"][0]
    return f"{variable}: {error['msg'].removeprefix('Value error, ')}"


def _environment(job: dict[str, Any], kafka: Kafka) -> dict[str, str]:
    variables = job["spec"]["template"]["spec"]["containers"][0]["env"]
    user = TRANSACTIONAL_USER if _EXACTLY_ONCE in variables else LOADER_USER
    secrets = {(CREDENTIALS_SECRET, "user"): user}
    secrets[CREDENTIALS_SECRET, "password"] = kafka.password(user)
    environment = {}
    for variable in variables:
        environment[variable["name"]] = _value(variable, secrets)
    return {
        name: str(kafka.ca_path) if value == names.CA_PATH else value
        for name, value in environment.items()
    }


def _place(variable: dict[str, Any]) -> str:
    """Where a cluster would take the value from, in words."""
    source = variable.get("valueFrom", {})
    if reference := source.get("secretKeyRef"):
        return f"key {reference.get('key')} of Secret {reference.get('name')}"
    return " and ".join(source) or "nowhere"


def _value(variable: dict[str, Any], secrets: Mapping[tuple[str, str], str]) -> str:
    if "value" in variable:
        return str(variable["value"])
    reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
    try:
        return secrets[reference["name"], reference["key"]]
    except KeyError:
        raise DevstackError(
            f"{variable['name']} comes from {_place(variable)}, which only a cluster has",
            "leave it out of the manifest here, or apply the manifest to a cluster (make up)",
        ) from None
