"""Which agents can be asked by batches."""

from __future__ import annotations

from typing import Any, Final

from ...exceptions import UserError
from ...tools.hosted import (
    CodeInterpreterTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    WebSearchTool,
)

__all__ = ["refuse_for_batch"]

_HOSTED: Final = (
    WebSearchTool,
    FileSearchTool,
    CodeInterpreterTool,
    ImageGenerationTool,
    HostedMCPTool,
)
"""Tools that the provider runs, within the model call."""


def refuse_for_batch(agent: Any, config: Any, checkpoint: Any) -> None:
    """Refuse what no batch can do, before anything is asked.

    Raises
    ------
    UserError
        The agent needs more than one model call, or headers; or there is no checkpoint.
    """
    needs = {
        "tools": [tool for tool in agent.tools if not isinstance(tool, _HOSTED)],
        "MCP servers": agent.mcp_servers,
        "handoffs": agent.handoffs,
    }
    reasons = [what for what, is_used in needs.items() if is_used]
    if reasons:
        raise UserError(
            f"map_frame(mode='batch') is for agents of one model call, and {agent.name!r} has "
            f"{' and '.join(reasons)}: a batch cannot wait for what they do. Leave out mode=."
        )
    settings = agent.model_settings.resolve(config.model_settings)
    unsent = [name for name in ("extra_headers", "extra_query") if getattr(settings, name)]
    if unsent:
        raise UserError(
            f"map_frame(mode='batch') cannot send ModelSettings.{unsent[0]}: a line of a batch has "
            "a body only. Leave it out, or leave out mode=."
        )
    if checkpoint is None:
        raise UserError(
            "map_frame(mode='batch') needs checkpoint='rows.sqlite': a batch takes up to a day, "
            "and what is paid for is found again by the ids in that file, also by another kernel."
        )
