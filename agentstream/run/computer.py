"""Answers the calls of a computer and of a local shell that the user provides."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import ModelBehaviorError, UserError
from ..items import RunItem, ToolCallOutputItem
from ..tools.hosted import (
    ComputerToolCustomDataContext,
    ComputerToolSafetyCheckData,
    LocalShellCommandRequest,
)
from ..trace.lifecycle import ToolWarned
from .blocking_monitor import MonitoredCall
from .interrupts import contain_tool_exit
from .options import LoopOptions, call, custom_data

if TYPE_CHECKING:
    from .state.run_state import RunState
    from .toolbox import Toolbox


T = TypeVar("T")

logger = logging.getLogger("agentstream")


async def _done(options: LoopOptions, call_id: str, name: str, work: Coroutine[Any, Any, T]) -> T:
    """Await what the user's computer or shell does, watched like every tool."""

    def warn(message: str) -> None:
        options.emit(ToolWarned(call_id, message))
        logger.warning("The tool %r %s.", name, message)

    with contain_tool_exit(name):
        return await MonitoredCall(work, name, warn)


async def run_computer_call(
    state: RunState[Any],
    options: LoopOptions,
    toolbox: Toolbox,
    item: RunItem,
    keep: Callable[[ToolCallOutputItem], None],
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
    await options.call_hooks(agent, "on_tool_start", context, agent, tool)
    computer: Any = tool.computer
    actions = getattr(raw, "actions", None) or ([raw.action] if raw.action else [])
    screen = await _done(options, raw.call_id, tool.name, _do_all(computer, actions))
    image = f"data:image/png;base64,{screen}" if screen else ""
    output: dict[str, Any] = {
        "call_id": raw.call_id,
        "output": {"type": "computer_screenshot", "image_url": image},
        "type": "computer_call_output",
        "acknowledged_safety_checks": acknowledged or None,
    }
    keep(ToolCallOutputItem(agent=agent, raw_item=output, output=image))
    await options.call_hooks(agent, "on_tool_end", context, agent, tool, screen)
    data = ComputerToolCustomDataContext(context, tool, raw, image, copy.deepcopy(output))
    kept = await custom_data(tool.custom_data_extractor, data)
    return ToolCallOutputItem(agent=agent, raw_item=output, output=image, custom_data=kept)


async def _acknowledged(state: RunState[Any], tool: Any, raw: Any) -> list[dict[str, Any]]:
    checks = list(getattr(raw, "pending_safety_checks", None) or [])
    if not checks:
        return []
    done = []
    for check in checks:
        data = ComputerToolSafetyCheckData(
            ctx_wrapper=state.context, agent=state.agent, tool_call=raw, safety_check=check
        )
        if tool.on_safety_check is None or await call(tool.on_safety_check, data) is not True:
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
    held = getattr(action, "keys", None)
    if kind == "click":
        await _held(computer.click, held, action.x, action.y, action.button)
    elif kind == "double_click":
        await _held(computer.double_click, held, action.x, action.y)
    elif kind == "drag":
        await _held(computer.drag, held, [(point.x, point.y) for point in action.path])
    elif kind == "keypress":
        await call(computer.keypress, action.keys)
    elif kind == "move":
        await _held(computer.move, held, action.x, action.y)
    elif kind == "scroll":
        wheel = (action.scroll_x, action.scroll_y)
        await _held(computer.scroll, held, action.x, action.y, *wheel)
    elif kind == "type":
        await call(computer.type, action.text)
    elif kind == "wait":
        await call(computer.wait)
    else:
        raise ModelBehaviorError(f"The model asks for a computer action {kind!r} unknown here.")
    return None


async def _held(method: Callable[..., Any], keys: list[str] | None, *args: Any) -> None:
    """Call a method of the computer; with the modifier keys that are held, if it knows of any."""
    if not keys:
        await call(method, *args)
    elif any(p.name == "keys" or p.kind is p.VAR_KEYWORD for p in _parameters(method)):
        await call(method, *args, keys=keys)
    else:
        name = getattr(method, "__name__", "?")
        logger.warning(
            "The model holds %s while it uses %s(), which has no parameter `keys` on this computer;"
            " it is done without.",
            ", ".join(map(str, keys)),
            name,
        )
        await call(method, *args)


def _parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):  # it tells nothing of itself
        return []


async def run_shell_call(
    state: RunState[Any],
    options: LoopOptions,
    toolbox: Toolbox,
    item: RunItem,
    keep: Callable[[ToolCallOutputItem], None],
) -> ToolCallOutputItem:
    """Have the user's executor run the command of a local shell call."""
    tool = toolbox.shell()
    if tool is None:
        raise ModelBehaviorError(f"Agent {state.agent.name!r} has no LocalShellTool for its call.")
    raw: Any = item.raw_item
    agent, context = state.agent, state.context
    await options.call_hooks(agent, "on_tool_start", context, agent, tool)
    request = LocalShellCommandRequest(ctx_wrapper=context, data=raw)
    output = await _done(options, raw.call_id, tool.name, call(tool.executor, request))
    answer = {"type": "local_shell_call_output", "id": raw.call_id, "output": output}
    answered = ToolCallOutputItem(agent=agent, raw_item=answer, output=output)
    keep(answered)
    await options.call_hooks(agent, "on_tool_end", context, agent, tool, output)
    return answered
