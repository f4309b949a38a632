"""While an agent starts, no other run may change its tools: they would be this run's, too.

A hook that is told of an agent's start may change its tools, its MCP servers and its handoffs, for
the user whom the run is for.
Where two runs share the agent object and both are starting, neither can know whose tools it gets.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import UserError

if TYPE_CHECKING:
    from ..agent import Agent


class _Window:
    """One run between its agent's start and the tools of its turn."""

    def __init__(self, tools: tuple[Any, ...]) -> None:
        self.tools = tools  # kept alive, so that none of another day has the id of one
        self.is_shared = False


_LOCK: Final = threading.Lock()
_open: Final[dict[int, list[_Window]]] = {}


@contextmanager
def tools_of_its_own(agent: Agent[Any]) -> Iterator[None]:
    """Raise an error if another run changes the agent's tools meanwhile, or this one another's.

    Raises
    ------
    UserError
        Both would get tools of which it is not known whose they are.
    """
    window = _Window(_offered(agent))
    with _LOCK:
        here = _open.setdefault(id(agent), [])
        here.append(window)
        _compare(agent, here)
    try:
        yield
    finally:
        with _LOCK:
            _compare(agent, here)
            here.remove(window)
            if not here:
                _open.pop(id(agent), None)
    if window.is_shared:
        raise UserError(
            f"The tools of agent {agent.name!r} were changed while concurrent runs were starting "
            "with it, so that one would get the other's. Give each run an agent of its own, as "
            "agent.clone() makes it, or a tool is_enabled=function, which is asked in each run."
        )


def _offered(agent: Agent[Any]) -> tuple[Any, ...]:
    """All that the model's tools are made of."""
    return (*agent.tools, *agent.mcp_servers, *agent.handoffs)


def _compare(agent: Agent[Any], here: list[_Window]) -> None:
    now = [id(tool) for tool in _offered(agent)]
    if len(here) > 1 and any([id(tool) for tool in one.tools] != now for one in here):
        for one in here:
            one.is_shared = True
