"""The types of the API are built once, beside the first request, and waited for."""

from __future__ import annotations

import threading

import pytest
from openai import BaseModel

from agentstream.models.http import warm_up


class Slow(BaseModel):
    n: int

    @classmethod
    def model_rebuild(cls, **named: object) -> bool | None:  # type: ignore[override]
        started.append(threading.current_thread().name)
        release.wait(5)
        return super().model_rebuild()


started: list[str] = []
release = threading.Event()


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "_building", None)
    started.clear()
    release.clear()


async def test_nothing_is_waited_for_where_nothing_was_begun() -> None:
    await warm_up.wait_until_built()


async def test_they_are_built_in_a_thread_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_up, "_IN_ORDER", (Slow,))
    warm_up.prebuild()
    warm_up.prebuild()
    threading.Timer(0.05, release.set).start()
    await warm_up.wait_until_built()
    assert release.is_set()
    assert started == ["agentstream validators"]


async def test_the_types_of_an_answer_are_ready_afterwards() -> None:
    warm_up.prebuild()
    await warm_up.wait_until_built()
    assert all(kind.__pydantic_complete__ for kind in warm_up._IN_ORDER)
