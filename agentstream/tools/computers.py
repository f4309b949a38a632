"""The computers of a run: made when an agent first may use one, put away when the run is over."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from .._utils.aio import gather_or_cancel
from ..exceptions import UserError
from ..run_context import RunContextWrapper
from .hosted import AsyncComputer, Computer, ComputerTool

logger = logging.getLogger("agentstream")


@dataclass
class _Made:
    """A computer, and how it is put away."""

    computer: Any
    dispose: Any = None


_OF_RUN: WeakKeyDictionary[RunContextWrapper[Any], dict[ComputerTool[Any], _Made]] = (
    WeakKeyDictionary()
)
"""The computers of each run, by their tools."""


def _is_computer(value: Any) -> bool:
    # By its shape, so that one written for the SDK serves, too.
    return not inspect.isclass(value) and hasattr(value, "screenshot")


async def resolve_computer(
    *, tool: ComputerTool[Any], run_context: RunContextWrapper[Any]
) -> Computer | AsyncComputer:
    """Return the computer of `tool` in the run of `run_context`; create it if needed.

    Parameters
    ----------
    tool : ComputerTool
        Its `computer` is one, or makes one: a `ComputerProvider`, or a function that is called with
        ``run_context=``.
    run_context : RunContextWrapper
        The run's context. Each run has computers of its own.

    Raises
    ------
    UserError
        What was made is no computer.

    Examples
    --------
    >>> import asyncio
    >>> from types import SimpleNamespace
    >>> tool = ComputerTool(lambda run_context: SimpleNamespace(screenshot=lambda: "iVBORw0..."))
    >>> run = RunContextWrapper(None)
    >>> async def main():
    ...     first = await resolve_computer(tool=tool, run_context=run)
    ...     return first is await resolve_computer(tool=tool, run_context=run)
    >>> asyncio.run(main())
    True
    """
    source: Any = tool.computer
    if _is_computer(source):
        computer: Computer | AsyncComputer = source
        return computer
    made = _OF_RUN.setdefault(run_context, {})
    if tool not in made:
        create = source if callable(source) else getattr(source, "create", None)
        created = create(run_context=run_context) if callable(create) else source
        created = await created if inspect.isawaitable(created) else created
        if not _is_computer(created):
            raise UserError(
                f"ComputerTool(computer=...) gave {type(created).__name__} in place of a computer. "
                "Give a Computer or an AsyncComputer, or what makes one: a ComputerProvider, or a "
                "function that takes run_context=."
            )
        made[tool] = _Made(created, getattr(source, "dispose", None))
    return made[tool].computer


async def with_computers(tools: list[Any], run_context: RunContextWrapper[Any]) -> list[Any]:
    """`tools`, in which those that make their computer for a run have the one of this run."""
    makers = [
        tool for tool in tools if isinstance(tool, ComputerTool) and not _is_computer(tool.computer)
    ]
    if not makers:
        return tools
    computers = await gather_or_cancel(
        [resolve_computer(tool=t, run_context=run_context) for t in makers]
    )
    ready = {
        tool: replace(tool, computer=computer)
        for tool, computer in zip(makers, computers, strict=True)
    }
    return [
        ready[tool] if isinstance(tool, ComputerTool) and tool in ready else tool for tool in tools
    ]


async def dispose_resolved_computers(*, run_context: RunContextWrapper[Any]) -> None:
    """Dispose of the computers that were created for the run of `run_context`.

    One that cannot be put away is logged, and does not keep the others from it.

    Parameters
    ----------
    run_context : RunContextWrapper
        The run's context.

    Examples
    --------
    >>> import asyncio
    >>> from types import SimpleNamespace
    >>> from agentstream import ComputerProvider
    >>> screen = SimpleNamespace(screenshot=lambda: "iVBORw0...")
    >>> provider = ComputerProvider(
    ...     create=lambda run_context: screen,
    ...     dispose=lambda run_context, computer: print("closed"),
    ... )
    >>> run = RunContextWrapper(None)
    >>> async def main():
    ...     await resolve_computer(tool=ComputerTool(provider), run_context=run)
    ...     await dispose_resolved_computers(run_context=run)
    >>> asyncio.run(main())
    closed
    """
    for made in _OF_RUN.pop(run_context, {}).values():
        if made.dispose is None:
            continue
        try:
            done = made.dispose(run_context=run_context, computer=made.computer)
            if inspect.isawaitable(done):
                await done
        except Exception:
            logger.warning("A computer of the run could not be put away:", exc_info=True)
