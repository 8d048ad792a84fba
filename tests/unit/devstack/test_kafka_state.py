from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka import state

if TYPE_CHECKING:
    from pathlib import Path


def test_new_settings_have_distinct_ports_and_a_cluster_id_kafka_takes() -> None:
    for _ in range(50):
        settings = state.new_settings()
        assert len(set(settings.ports)) == 4
        assert len(base64.urlsafe_b64decode(f"{settings.cluster_id}==")) == 16
        assert not settings.cluster_id.startswith("-")


def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    assert state.load_settings(tmp_path) is None
    settings = dataclasses.replace(state.new_settings(), host_address="198.18.0.1", full_jit=True)
    state.save_settings(tmp_path, settings)
    assert state.load_settings(tmp_path) == settings


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cluster_id": 1, "colour": 2}'])
def test_broken_settings_say_which_file_and_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(DevstackError, match=r"settings\.json") as refusal:
        state.load_settings(tmp_path)
    assert "remove" in refusal.value.remedy


def test_passwords_are_generated_once_and_only_for_their_owner(tmp_path: Path) -> None:
    first = state.settled_passwords(tmp_path)
    assert first == state.settled_passwords(tmp_path)
    assert first.keys() == {"operator", "loader", "loader-transactional"}
    assert len(set(first.values())) == len(first)
    assert state.password(tmp_path, "loader") == first["loader"]
    for file in (tmp_path / "passwords").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_an_unknown_user_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="operator, loader"):
        state.password(tmp_path, "../settings.json")
