from __future__ import annotations

import pytest
from tests.unit.operator.test_decide import condition, look, started
from tests.unit.operator.worlds import make_pod

SPEC = {
    "kafka": {"credentialsSecretRef": {"name": "user"}, "caSecretRef": {"name": "ca"}},
    "binance": {"credentialsSecretRef": {"name": "keys"}},
}


def held(reason, message):
    return make_pod(phase="Pending", waiting_reason=reason, waiting_message=message)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ('secret "user" not found', "spec.kafka.credentialsSecretRef:"),
        ('secret "ca" not found', "spec.kafka.caSecretRef:"),
        ("couldn't find key api-key in Secret loads/keys", "spec.binance.credentialsSecretRef:"),
        ('secret "users" not found', "a Secret that spec.worker or the operator's settings name:"),
    ],
)
def test_a_missing_secret_is_told_with_the_field_that_names_it(message, field):
    plan = look(started(**SPEC), "active", held("CreateContainerConfigError", message))
    assert condition(plan, "Accepted") == ("False", "SecretMissing")
    assert plan.status.message == f"{field} {message}"


def test_a_container_that_cannot_be_made_for_another_reason_lacks_no_secret():
    pod = held("CreateContainerConfigError", "container has runAsNonRoot and image runs as root")
    plan = look(started(**SPEC), "active", pod)
    assert condition(plan, "Accepted") == ("True", "Valid")
    assert "runAsNonRoot" in plan.status.message


@pytest.mark.parametrize(
    ("worker", "field"),
    [
        ({"image": "i:1"}, "spec.worker.image: "),
        ({}, "spec.worker.image (left out: WORKER_IMAGE): "),
    ],
)
def test_a_missing_image_is_told_with_the_field_that_names_it(worker, field):
    plan = look(started(worker=worker), "active", held("ImagePullBackOff", "no such image"))
    running = plan.status.condition("Running")
    assert running.reason == "ImagePullBackOff"
    assert running.message == f"{field}ImagePullBackOff: no such image"


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        (held("ImagePullBackOff", "no such image"), "spec.worker.image (left out: WORKER_IMAGE): "),
        (held("CreateContainerConfigError", 'secret "ca" not found'), "spec.kafka.caSecretRef: "),
        (held("ContainerCreating", ""), "its pod is Pending ContainerCreating"),
        (make_pod(), "its pod is Running"),
        (None, "it has no pod"),
    ],
)
def test_the_startup_deadline_names_what_the_pod_waited_for(pod, told):
    plan = look(started(backoffLimit=0, **SPEC), "active", pod, at=300)
    assert plan.status.reason == "StartupDeadlineExceeded"
    assert told in plan.status.message
