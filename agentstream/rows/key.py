"""The key of a row: a digest of what is asked, whatever its position in the frame."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from typing import Any, Final

from ..agent import Agent
from ..exceptions import UserError
from ..model_settings import default_model_name
from ..models.local.model import LocalModel
from ..models.request import ModelRequest
from ..recordings.request_match import RequestDict, request_dict, to_jsonable
from ..run.model_call import find_model, find_settings, output_schema
from ..run.runner import prepared
from ..run.toolbox import Toolbox
from ..run_config import RunConfig

_OPENAI: Final = "api.openai.com"
_HERE: Final = "this machine"
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1", "0.0.0.0")

__all__ = ["agent_request", "model_name", "row_key"]


def row_key(agent_digest: str, request: str | list[Any], repeat: int = 0) -> bytes:
    """The key of what is asked for a row.

    Examples
    --------
    >>> row_key("a", "Hello") == row_key("a", "Hello"), row_key("a", "Hello", 1).hex()[:6]
    (True, '8a6b15')
    """
    text = json.dumps([agent_digest, to_jsonable(request), repeat], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]


def model_name(agent: Agent[Any], config: RunConfig) -> str:
    """The name of the agent's model in these runs; no key is needed to know it."""
    chosen: Any = agent.model if config.model is None else config.model
    if chosen is None:
        return default_model_name()
    if isinstance(chosen, str):
        return chosen
    return str(getattr(chosen, "model", None) or type(chosen).__name__)


async def agent_request(agent: Agent[Any], config: RunConfig, context: Any) -> RequestDict:
    """What every row's first model call has in common, as the recordings write it.

    Agents that may be handed to are part of it, by their own instructions and output types.
    """
    state, _ = prepared(agent, "", context=context, run_config=config)
    toolbox = await Toolbox.of(agent, state.context, config.tool_name_collision_policy)
    request = ModelRequest(
        await agent.get_system_prompt(state.context),
        [],
        find_settings(agent, config, state),
        toolbox.tools,
        output_schema(agent),
        toolbox.handoffs,
        None,
        None,
        await agent.get_prompt(state.context),
    )
    whole_request = request_dict(request, model_name(agent, config))
    if (server := await _server(agent, config)) is not None:
        whole_request = {**whole_request, "server": server}
    others = {each.name: _summary(each) for each in _reachable(agent, {})[1:]}
    return {**whole_request, "handed_to": others} if others else whole_request


async def _server(agent: Agent[Any], config: RunConfig) -> str | None:
    """The host that is asked; None for OpenAI's own, and where it is not known.

    The same name can be another model on another server, so that its answers are no answers of this
    one. Ports of this machine are not looked at: a local server has another one each day. A
    `local_model` is whatever is found here, so that it says which one that is.
    """
    with suppress(UserError):  # without a key nothing is asked, but answers can be replayed
        model = find_model(agent, config)
        if isinstance(model, LocalModel):
            return f"{_HERE}: {await asyncio.to_thread(model.identity)}"
        client = getattr(model, "_client", None)
        host = getattr(getattr(client, "base_url", None), "host", None)
        if host in _THIS_MACHINE:
            return _HERE
        return None if host == _OPENAI else host
    return None


def _reachable(agent: Agent[Any], seen: dict[int, Agent[Any]]) -> list[Agent[Any]]:
    if id(agent) not in seen:
        seen[id(agent)] = agent
        for each in agent.handoffs:
            if isinstance(each, Agent):
                _reachable(each, seen)
    return list(seen.values())


def _summary(agent: Agent[Any]) -> dict[str, Any]:
    return {
        "instructions": agent.instructions if isinstance(agent.instructions, str) else "a function",
        "model": agent.model if isinstance(agent.model, str) else None,
        "output": getattr(agent.output_type, "__name__", str(agent.output_type)),
        "tools": [tool.name for tool in agent.tools],
    }
