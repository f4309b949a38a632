"""A session that fails while a run fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, Runner, SQLiteSession, UserError, function_tool
from agentstream._utils.redaction import remember_url
from agentstream.testing import ScriptedModel, call, turn

ADDRESS = "redis://u:passw0rd-9@h"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_session_that_fails_does_not_hide_what_the_run_failed_with(streamed: bool) -> None:
    class Full(SQLiteSession):
        async def add_items(self, items: Any) -> None:
            if any(item.get("type") == "function_call_output" for item in items):
                raise OSError(f"disk full: {ADDRESS}")
            await super().add_items(items)

    remember_url(ADDRESS)
    began = asyncio.Event()

    @function_tool
    async def works() -> str:
        began.set()
        return "done"

    @function_tool(failure_error_function=None)
    async def breaks() -> str:
        await began.wait()
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    model = ScriptedModel([turn(call("works"), call("breaks"))])
    agent = Agent(name="A", tools=[works, breaks], model=model)
    with pytest.raises(UserError, match="broken") as caught:
        if streamed:
            await Runner.run_streamed(agent, "Hi", session=Full("s")).wait()
        else:
            await Runner.run(agent, "Hi", session=Full("s"))
    assert "disk full: redis://u:***@h" in caught.value.__notes__[-1]
    kept = [item for item in caught.value.run_data.new_items if hasattr(item, "output")]
    assert kept[0].output == "done"
