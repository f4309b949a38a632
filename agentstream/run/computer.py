"""Answers the calls of a computer and of a local shell that the user provides."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ModelBehaviorError, UserError
from ..hosted_tools import LocalShellCommandRequest
from ..items import RunItem, ToolCallOutputItem
from ..trace.marks import ToolWarned
from .interrupts import ending_alone
from .options import RunOptions, call
from .watch import Watched

if TYPE_CHECKING:
    from .state import RunState
    from .toolbox import Toolbox


T = TypeVar("T")

logger = logging.getLogger("agentstream")


async def _done(options: RunOptions, call_id: str, name: str, work: Coroutine[Any, Any, T]) -> T:
    """Await what the user's computer or shell does, watched like every tool."""

    def warn(message: str) -> None:
        options.mark(ToolWarned(call_id, message))
        logger.warning("The tool %r %s.", name, message)

    with ending_alone(name):
        return await Watched(work, name, warn)


async def run_computer_call(
    state: RunState[Any], options: RunOptions, toolbox: Toolbox, item: RunItem
) -> ToolCallOutputItem:
    """Do what the model asks of the computer, then show it the screen.

    Raises
    ------
    UserError
        If a safety check of the call is not acknowledged.
    """
    tool = toolbox.computer()
    if tool is None:
        raise ModelBehaviorError(f"Agent {state.agent.name!r} has no ComputerTool for its call.")
    raw: Any = item.raw_item
    agent, context = state.agent, state.context
    acknowledged = await _acknowledged(state, tool, raw)
    await options.tell(agent, "on_tool_start", context, agent, tool)
    computer: Any = tool.computer
    actions = getattr(raw, "actions", None) or ([raw.action] if raw.action else [])
    screen = await _done(options, raw.call_id, tool.name, _do_all(computer, actions))
    await options.tell(agent, "on_tool_end", context, agent, tool, screen)
    image = f"data:image/png;base64,{screen}"
    output: dict[str, Any] = {
        "call_id": raw.call_id,
        "output": {"type": "computer_screenshot", "image_url": image},
        "type": "computer_call_output",
    }
    if acknowledged:
        output["acknowledged_safety_checks"] = acknowledged
    return ToolCallOutputItem(agent=agent, raw_item=output, output=image)


async def _acknowledged(state: RunState[Any], tool: Any, raw: Any) -> list[dict[str, Any]]:
    checks = list(getattr(raw, "pending_safety_checks", None) or [])
    if not checks:
        return []
    from ..hosted_tools import ComputerToolSafetyCheckData

    done = []
    for check in checks:
        data = ComputerToolSafetyCheckData(
            ctx_wrapper=state.context, agent=state.agent, tool_call=raw, safety_check=check
        )
        if tool.on_safety_check is None or not await call(tool.on_safety_check, data):
            raise UserError(
                f"The computer call asks for a safety check ({check.code}) that was not "
                "acknowledged; give ComputerTool(on_safety_check=...) a function that returns True."
            )
        done.append({"id": check.id, "code": check.code, "message": check.message})
    return done


async def _do_all(computer: Any, actions: Sequence[Any]) -> str:
    """All actions of a call, and the screen after them."""
    screen: str | None = None
    for action in actions:
        screen = await _do(computer, action)
    return await call(computer.screenshot) if screen is None else screen


async def _do(computer: Any, action: Any) -> str | None:
    """One action on the computer; the screen for a screenshot, else None."""
    kind = action.type
    if kind == "screenshot":
        return await call(computer.screenshot)
    if kind == "click":
        await call(computer.click, action.x, action.y, action.button)
    elif kind == "double_click":
        await call(computer.double_click, action.x, action.y)
    elif kind == "drag":
        await call(computer.drag, [(point.x, point.y) for point in action.path])
    elif kind == "keypress":
        await call(computer.keypress, action.keys)
    elif kind == "move":
        await call(computer.move, action.x, action.y)
    elif kind == "scroll":
        await call(computer.scroll, action.x, action.y, action.scroll_x, action.scroll_y)
    elif kind == "type":
        await call(computer.type, action.text)
    elif kind == "wait":
        await call(computer.wait)
    else:
        raise ModelBehaviorError(f"The model asks for a computer action {kind!r} unknown here.")
    return None


async def run_shell_call(
    state: RunState[Any], options: RunOptions, toolbox: Toolbox, item: RunItem
) -> ToolCallOutputItem:
    """Have the user's executor run the command of a local shell call."""
    tool = toolbox.shell()
    if tool is None:
        raise ModelBehaviorError(f"Agent {state.agent.name!r} has no LocalShellTool for its call.")
    raw: Any = item.raw_item
    agent, context = state.agent, state.context
    await options.tell(agent, "on_tool_start", context, agent, tool)
    request = LocalShellCommandRequest(ctx_wrapper=context, data=raw)
    output = await _done(options, raw.call_id, tool.name, call(tool.executor, request))
    await options.tell(agent, "on_tool_end", context, agent, tool, output)
    answer = {"type": "local_shell_call_output", "id": raw.call_id, "output": output}
    return ToolCallOutputItem(agent=agent, raw_item=answer, output=output)
