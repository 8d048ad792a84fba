from __future__ import annotations

import pytest
from tests.unit.operator.worlds import UID, make_task

from loadertask_contract.environment import WorkerEnvironment, render_environment
from loadertask_operator.configuration import read_configuration
from loadertask_operator.manifests.environment import environment_of, next_attempt
from loadertask_operator.manifests.job import render_job

PLAIN = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}
SECURE = PLAIN | {"WORKER_KAFKA_SECRET": "user", "WORKER_CA_SECRET": "ca", "WORKER_CA_KEY": "pem"}


def job_of(variables=PLAIN, **spec):
    task = make_task(**spec)
    return render_job(task, read_configuration(variables), next_attempt(task))


def pod_of(variables=PLAIN, **spec):
    return job_of(variables, **spec)["spec"]["template"]


def container_of(variables=PLAIN, **spec):
    return pod_of(variables, **spec)["spec"]["containers"][0]


def variables_of(variables=PLAIN, **spec):
    return {item["name"]: item for item in container_of(variables, **spec)["env"]}


def test_the_environment_is_what_the_contract_renders_and_nothing_else():
    task = make_task()
    configuration = read_configuration(PLAIN)
    environment = environment_of(task, configuration, next_attempt(task))
    rendered = {name: item["value"] for name, item in variables_of().items()}
    assert rendered == render_environment(environment)
    assert rendered["LOADER_CONTROL_SINCE"] == "2026-01-01T11:59:00Z"
    assert rendered["INTERVAL"] == "1m"
    assert "CA_PATH" not in rendered


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "api_candles"}, {"TYPE": "api_candles", "INTERVAL": "1m"}),
        ({"type": "api_candles", "interval": "1h"}, {"TYPE": "api_candles", "INTERVAL": "1h"}),
        ({"type": "api_candles_1M"}, {"TYPE": "api_candles_1M", "INTERVAL": "1M"}),
        ({"queueId": "Mixed-Case_1"}, {"QUEUE_ID": "Mixed-Case_1"}),
        ({"queueId": "q"}, {"KAFKA_TOPIC": "q-data"}),
        ({"kafka": {"topic": "t"}}, {"KAFKA_TOPIC": "t"}),
        ({"kafka": {"bootstrapServers": "b:1"}}, {"KAFKA_BOOTSTRAP_SERVERS": "b:1"}),
        ({"binance": {"apiUrl": "http://r:1"}}, {"BINANCE_API_URL": "http://r:1"}),
        ({"binance": {"archiveUrl": "http://r:1"}}, {"LOADER_ARCHIVE_URL": "http://r:1"}),
        ({"debug": True, "telemetryInterval": 9}, {"DEBUG": "true", "TELEMETRY_INTERVAL": "9"}),
    ],
)
def test_a_field_becomes_its_variable(spec, expected):
    variables = variables_of(**spec)
    assert {name: variables[name]["value"] for name in expected} == expected


def test_a_live_task_has_no_range_and_the_producer_name_of_its_image():
    task = make_task(type="ws_candles", timeRange=None)
    environment = environment_of(task, read_configuration(PLAIN), next_attempt(task))
    assert environment.time_range is None
    assert environment.producer_id.startswith("loader-ws-candles__")


def test_trades_have_no_interval():
    assert "INTERVAL" not in variables_of(type="api_trades")


def test_credentials_and_ca_come_by_reference_from_the_configured_secrets():
    variables = variables_of(SECURE)
    assert variables["KAFKA_USER_PRODUCER"]["valueFrom"] == {
        "secretKeyRef": {"name": "user", "key": "user"}
    }
    assert variables["CA_PATH"]["value"] == variables["KAFKA_CA_PATH"]["value"] == "/certs/ca.crt"
    pod = pod_of(SECURE)["spec"]
    assert pod["volumes"][1]["secret"] == {
        "secretName": "ca",
        "items": [{"key": "pem", "path": "ca.crt"}],
    }
    assert pod["containers"][0]["volumeMounts"][1]["mountPath"] == "/certs"


def test_the_secrets_of_the_task_go_before_those_of_the_configuration():
    kafka = {
        "credentialsSecretRef": {"name": "mine", "passwordKey": "pw"},
        "caSecretRef": {"name": "my-ca"},
    }
    binance = {"credentialsSecretRef": {"name": "keys"}}
    variables = variables_of(SECURE, kafka=kafka, binance=binance)
    reference = variables["KAFKA_PASSWORD_PRODUCER"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "mine", "key": "pw"}
    assert variables["KAFKA_USER_PRODUCER"]["valueFrom"]["secretKeyRef"]["key"] == "user"
    assert variables["BINANCE_API_KEY"]["valueFrom"]["secretKeyRef"]["key"] == "api-key"
    volume = pod_of(SECURE, kafka=kafka)["spec"]["volumes"][1]["secret"]
    assert (volume["secretName"], volume["items"][0]["key"]) == ("my-ca", "pem")


def test_an_explicit_protocol_holds_only_for_the_same_brokers():
    variables = PLAIN | {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_USER": "o",
        "KAFKA_PASSWORD": "p",
    }
    assert variables_of(variables)["KAFKA_SECURITY_PROTOCOL"]["value"] == "SASL_PLAINTEXT"
    elsewhere = {"bootstrapServers": "b:1"}
    assert "KAFKA_SECURITY_PROTOCOL" not in variables_of(variables, kafka=elsewhere)


def test_the_job_is_ours_by_owner_and_labels_and_never_retries_by_itself():
    job = job_of(queueName="fast")
    assert job["metadata"]["ownerReferences"][0] == {
        "apiVersion": "streamforge.io/v1alpha1",
        "kind": "LoaderTask",
        "name": "btc",
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["labels"] == labels | {"kueue.x-k8s.io/queue-name": "fast"}
    assert labels["streamforge.io/attempt"] == "1"
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert job["spec"]["podFailurePolicy"]["rules"] == [
        {
            "action": "FailJob",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]
    assert "ttlSecondsAfterFinished" not in job["spec"]


def test_the_pod_runs_without_rights():
    pod = pod_of()["spec"]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_worker_has_a_place_for_the_large_files_of_the_archive():
    pod = pod_of()["spec"]
    (volume,) = pod["volumes"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert volume["emptyDir"] == {"sizeLimit": "2Gi"}
    assert mount == {"name": volume["name"], "mountPath": "/tmp"}


@pytest.mark.parametrize(
    "nonsense",
    [
        {"spec": None},
        {"spec": {"containers": None}},
        {"spec": {"containers": [None]}},
        {"spec": {"containers": [{"name": "loader", "volumeMounts": None}]}},
        {"spec": {"containers": [{"name": "loader", "volumeMounts": [None]}]}},
        {"spec": {"containers": [{"name": "loader", "volumeMounts": "tmp"}]}},
    ],
)
def test_nonsense_in_a_pod_template_is_left_to_the_api_server(nonsense):
    containers = pod_of(worker={"podTemplate": nonsense})["spec"]["containers"]
    assert "loader" in [container["name"] for container in containers if container]


def test_a_pod_template_adds_and_the_contract_wins():
    template = {
        "metadata": {
            "labels": {"team": "a", "streamforge.io/task": "x"},
            "annotations": {"k": "v"},
        },
        "spec": {
            "restartPolicy": "Always",
            "nodeSelector": {"disk": "fast"},
            "securityContext": {"runAsUser": 1000},
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [
                {
                    "name": "loader",
                    "env": [
                        {"name": "SYMBOL", "value": "X"},
                        {"name": "HTTPS_PROXY", "value": "p"},
                    ],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                },
                {"name": "sidecar", "image": "s"},
            ],
        },
    }
    pod = pod_of(SECURE, worker={"podTemplate": template})
    spec = pod["spec"]
    assert pod["metadata"]["labels"]["team"] == "a"
    assert pod["metadata"]["labels"]["streamforge.io/task"] == "btc"
    assert pod["metadata"]["annotations"] == {"k": "v"}
    assert spec["restartPolicy"] == "Never"
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["securityContext"]["runAsUser"] == 1000
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp", "kafka-ca"]
    assert [container["name"] for container in spec["containers"]] == ["loader", "sidecar"]
    loader = spec["containers"][0]
    values = {item["name"]: item.get("value") for item in loader["env"]}
    assert values["SYMBOL"] == "BTCUSDT"
    assert values["HTTPS_PROXY"] == "p"
    assert [mount["name"] for mount in loader["volumeMounts"]] == ["tmp", "kafka-ca"]


def test_the_worker_section_sets_image_resources_account_and_variables():
    worker = {
        "image": "i:1",
        "imagePullPolicy": "Never",
        "resources": {"limits": {"memory": "256Mi"}},
        "serviceAccountName": "loader",
        "env": [{"name": "HTTPS_PROXY", "value": "p"}, {"name": "SYMBOL", "value": "X"}],
    }
    pod = pod_of(worker=worker)["spec"]
    loader = pod["containers"][0]
    assert (loader["image"], loader["imagePullPolicy"]) == ("i:1", "Never")
    assert loader["resources"] == {"limits": {"memory": "256Mi"}}
    assert pod["serviceAccountName"] == "loader"
    assert [i["value"] for i in loader["env"] if i["name"] == "SYMBOL"] == ["BTCUSDT"]
    assert any(i["name"] == "HTTPS_PROXY" for i in loader["env"])


def test_an_environment_that_no_worker_accepts_is_refused_naming_the_variable():
    with pytest.raises(ValueError, match=r"KAFKA_BOOTSTRAP_SERVERS|kafka_bootstrap_servers"):
        job_of(kafka={"bootstrapServers": "no-port"})


def test_the_environment_model_has_no_secret_in_the_manifest():
    names = {field.alias for field in WorkerEnvironment.model_fields.values()}
    assert {"KAFKA_PASSWORD_PRODUCER", "BINANCE_API_SECRET"} <= names
    assert "KAFKA_PASSWORD_PRODUCER" not in variables_of()
