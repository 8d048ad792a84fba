"""Why a pod does not start, in words that name the field to mend. Pure."""

from __future__ import annotations

from loadertask_operator.observed import JobState, PodState
from loadertask_operator.schema import Spec

_PULL_PROBLEMS = {"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"}


def lacks_image(pod: PodState) -> bool:
    """Whether the pod waits for an image that cannot be pulled."""
    return not pod.is_running and pod.waiting_reason in _PULL_PROBLEMS


def image_problem(pod: PodState, spec: Spec | None) -> str:
    """What is wrong with the image, and where it is set."""
    is_own = spec is not None and spec.worker.image is not None
    field = "spec.worker.image" if is_own else "spec.worker.image (left out: WORKER_IMAGE)"
    return f"{field}: {pod.waiting_reason}: {pod.waiting_message}"


def suspension_of(job: JobState) -> str:
    """Who holds a suspended Job back, and what ends that."""
    if job.is_queued:
        return f"Job {job.name} is suspended: its queue does not admit it"
    return f"Job {job.name} is suspended, and not by a queue: unset spec.suspend of the Job"


def lacks_secret(pod: PodState) -> bool:
    """Whether the pod waits for a Secret or for a key of one."""
    is_held = not pod.is_running and pod.waiting_reason == "CreateContainerConfigError"
    return is_held and "secret" in pod.waiting_message.lower()


def secret_problem(pod: PodState, spec: Spec | None) -> str:
    """Which Secret is missing, and where it is named."""
    return f"{_secret_field(pod.waiting_message, spec)}: {pod.waiting_message}"


def _secret_field(message: str, spec: Spec | None) -> str:
    named = _named_secrets(spec) if spec else {}
    # The kubelet's words: secret "NAME" not found; couldn't find key KEY in Secret NAMESPACE/NAME.
    words = {word.rpartition("/")[2] for word in message.replace('"', " ").split()}
    fields = [field for field, name in named.items() if name in words]
    return fields[0] if fields else "a Secret that spec.worker or the operator's settings name"


def _named_secrets(spec: Spec) -> dict[str, str]:
    references = {
        "spec.kafka.credentialsSecretRef": spec.kafka.credentials_secret_ref,
        "spec.kafka.caSecretRef": spec.kafka.ca_secret_ref,
        "spec.binance.credentialsSecretRef": spec.binance.credentials_secret_ref,
    }
    return {field: reference.name for field, reference in references.items() if reference}
