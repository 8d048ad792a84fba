from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from loadertask_operator.cluster import Cluster
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
