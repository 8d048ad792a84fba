from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client
from tests.unit.operator.worlds import after, make_job, make_task

from loadertask_operator import names
from loadertask_operator.cluster import Cluster
from loadertask_operator.errors import ConflictError, UnavailableError
from loadertask_operator.plan import Propagation
from loadertask_operator.status import Phase, Status
from loadertask_operator.store import Presence


async def test_an_empty_list_of_metadata_is_null_and_no_error():
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": "42"}, "items": None})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        host = str(server.make_url("")).rstrip("/")
        cluster = Cluster(client.ApiClient(client.Configuration(host=host)))
        assert await cluster.present_pods(None) == Presence(None, 42, frozenset(), {})
        await cluster.close()


async def test_what_is_present_is_asked_for_by_metadata_out_of_the_servers_cache():
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        listed = {
            "metadata": {"resourceVersion": "42"},
            "items": [{"metadata": {"uid": "u", "resourceVersion": "7"}}],
        }
        return web.json_response(listed)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        host = str(server.make_url("")).rstrip("/")
        cluster = Cluster(client.ApiClient(client.Configuration(host=host)))
        try:
            found = [
                await cluster.present_tasks(None),
                await cluster.present_jobs("loads"),
                await cluster.present_pods("loads"),
            ]
        finally:
            await cluster.close()
    uids, versions = frozenset({"u"}), {"u": 7}
    assert found == [
        Presence(None, 42, uids, versions),
        *[Presence("loads", 42, uids, versions)] * 2,
    ]
    assert [request.query["resourceVersion"] for request in asked] == ["0"] * 3
    assert ["labelSelector" in request.query for request in asked] == [False, True, True]
    assert all("PartialObjectMetadataList" in request.headers["Accept"] for request in asked)


JOB = {
    "kind": "Job",
    "metadata": {
        "name": "btc-1",
        "namespace": "loads",
        "uid": "u",
        "resourceVersion": "8",
        "creationTimestamp": "2026-01-01T12:00:00Z",
        "deletionTimestamp": "2026-01-01T12:00:09Z",
    },
}


@asynccontextmanager
async def answering(answer, asked, status=200):
    """A cluster whose API server says ``answer`` to everything: as it is, or as JSON."""
    text = answer if isinstance(answer, str) else json.dumps(answer)

    async def handle(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, dict(request.query)))
        return web.Response(status=status, text=text, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(application) as server:
        host = str(server.make_url("")).rstrip("/")
        cluster = Cluster(client.ApiClient(client.Configuration(host=host)))
        try:
            yield cluster
        finally:
            await cluster.close()


@pytest.mark.parametrize(
    ("answer", "is_left"), [(JOB, True), ({"kind": "Status", "status": "Success"}, False)]
)
async def test_the_answer_to_a_deletion_is_what_is_left_of_the_job(answer, is_left):
    async with answering(answer, []) as cluster:
        left = await cluster.delete_job(make_job(), Propagation.FOREGROUND)
    assert (left is not None) == is_left
    if left:
        assert left.deleted_at == after(9)


async def test_the_last_reason_of_each_job_that_could_not_make_a_pod_is_listed():
    events = [
        {"lastTimestamp": at, "message": message, "involvedObject": {"uid": uid}}
        for at, message, uid in (("2", "newer", "a"), ("1", "older", "a"), (None, "other", "b"))
    ]
    asked = []
    async with answering({"metadata": {}, "items": events}, asked) as cluster:
        assert await cluster.pod_refusals("loads") == {"a": "newer", "b": "other"}
    [(method, path, query)] = asked
    assert (method, path) == ("GET", "/api/v1/namespaces/loads/events")
    assert query["fieldSelector"] == "involvedObject.kind=Job,reason=FailedCreate"


async def test_of_a_write_only_the_new_version_is_read():
    task, status = make_task(), Status(phase=Phase.PENDING)
    async with answering({"metadata": {"resourceVersion": "43"}}, []) as cluster:
        written = await cluster.put_status(task, status)
        held = await cluster.set_finalizer(written, present=True)
        freed = await cluster.set_finalizer(held, present=False)
    assert (written.resource_version, written.status) == (43, status)
    assert (written.key, written.uid, written.spec) == (task.key, task.uid, task.spec)
    assert (held.finalizers, freed.finalizers) == ((names.FINALIZER,), ())


@pytest.mark.parametrize("text", ["<html>welcome</html>", "[]", '{"metadata": {}}'])
async def test_an_answer_that_is_not_kubernetes_own_is_none(text):
    async with answering(text, []) as cluster:
        with pytest.raises(UnavailableError, match="not an answer of Kubernetes"):
            await cluster.put_status(make_task(), Status())
        with pytest.raises(UnavailableError, match="not an answer of Kubernetes"):
            await cluster.present_tasks(None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"message": "it has changed"}', "it has changed"),
        ("<html>busy</html>", "<html>busy</html>"),
        ("[]", "GET /apis/"),
    ],
)
async def test_an_error_says_what_the_server_said_else_what_was_asked(text, message):
    async with answering(text, [], status=409) as cluster:
        with pytest.raises(ConflictError, match=message):
            await cluster.get_task(make_task().key)
