"""The script that tells Argo CD how a LoaderTask is, run by a Lua interpreter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lupa
import pytest

SCRIPT = (
    Path(__file__).parents[3] / "charts" / "loadertask-operator" / "argocd" / "health.lua"
).read_text()


def health(obj: dict[str, Any]) -> tuple[str, str]:
    lua = lupa.LuaRuntime()
    lua.globals()["obj"] = _table(lua, obj)
    answer = lua.execute(SCRIPT)
    return answer["status"], answer["message"]


def _table(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, one) for key, one in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, one) for one in value])
    return value


def task(kind: str = "api_candles_1m", seen: int = 1, **truths: str) -> dict[str, Any]:
    conditions = [
        {"type": name, "status": truth, "reason": f"{name}Reason", "message": f"about {name}"}
        for name, truth in truths.items()
    ]
    status = {"conditions": conditions, "observedGeneration": seen, "message": "42%"}
    return {"metadata": {"generation": 1}, "spec": {"type": kind}, "status": status}


@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        ({"metadata": {"generation": 1}, "spec": {}}, "Progressing", "not seen"),
        ({"metadata": {"generation": 1}, "spec": {}, "status": {}}, "Progressing", "not seen"),
        (task(Reconciling="True"), "Progressing", "42%"),
        (task(Running="True", Reconciling="False"), "Progressing", "42%"),
        (task("ws_trades", Running="True"), "Healthy", "42%"),
        (task("ws_trades", Running="False", Reconciling="True"), "Progressing", "42%"),
        (task("ws_trades", seen=0, Running="True"), "Progressing", "the change"),
        (task(Suspended="True"), "Suspended", "about Suspended"),
        (task(Stalled="True", Running="True"), "Degraded", "StalledReason: about Stalled"),
        (task(Complete="True", Stalled="False"), "Healthy", "about Complete"),
        (task(seen=0, Complete="True"), "Healthy", "about Complete"),
        (task(Failed="True", Stalled="True"), "Degraded", "FailedReason: about Failed"),
    ],
)
def test_the_health_of_a_task_is_that_of_its_conditions(obj, status, message):
    found = health(obj)
    assert found[0] == status
    assert message in found[1]


def test_a_task_that_is_being_deleted_is_progressing_whatever_it_was():
    obj = task(Complete="True")
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert health(obj)[0] == "Progressing"


def test_argo_cd_knows_every_status_that_the_script_names():
    known = {"Healthy", "Progressing", "Suspended", "Degraded", "Missing", "Unknown"}
    assert set(re.findall(r'health\("(\w+)"', SCRIPT)) <= known
