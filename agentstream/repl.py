"""A conversation with an agent in a terminal."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from ._utils.printable import write_text
from .run.runner import Runner
from .run_config import DEFAULT_MAX_TURNS

if TYPE_CHECKING:
    from .agent import Agent
    from .items import TResponseInputItem
    from .stream_events import StreamEvent


async def run_demo_loop(
    agent: Agent[Any],
    *,
    stream: bool = True,
    context: Any = None,
    max_turns: int | None = DEFAULT_MAX_TURNS,
) -> None:
    """Talk with `agent` in the terminal until "exit", "quit" or the end of input.

    Parameters
    ----------
    agent : Agent
        The agent to start with.
    stream : bool
        Print the answer while it is written.
    context : object, optional
        Your own object for tools and hooks.
    max_turns : int or None
        How often a model may be called for each message.

    Examples
    --------
    In a terminal::

        asyncio.run(run_demo_loop(Agent(name="Guide")))
    """
    conversation: list[TResponseInputItem] = []
    current = agent
    while True:
        try:
            text = await asyncio.to_thread(input, " > ")
        except (EOFError, KeyboardInterrupt):
            _write("\n")
            return
        if text.strip().lower() in {"exit", "quit"}:
            return
        if not text.strip():
            continue
        conversation.append({"role": "user", "content": text})
        result: Any
        if stream:
            result = Runner.run_streamed(
                current, conversation, context=context, max_turns=max_turns
            )
            async for event in result.stream_events():
                _show(event)
            _write("\n")
        else:
            result = await Runner.run(current, conversation, context=context, max_turns=max_turns)
            _write(f"{result.final_output}\n")
        current, conversation = result.last_agent, result.to_input_list()


def _show(event: StreamEvent) -> None:
    if event.type == "raw_response_event":
        if event.data.type == "response.output_text.delta":
            _write(event.data.delta)
    elif event.type == "agent_updated_stream_event":
        _write(f"\n[Agent updated: {event.new_agent.name}]\n")
    elif event.name == "tool_called":
        _write("\n[tool called]\n")
    elif event.name == "tool_output":
        _write(f"\n[tool output: {getattr(event.item, 'output', '')}]\n")


def _write(text: str) -> None:
    write_text(text)
    sys.stdout.flush()
