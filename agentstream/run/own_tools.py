"""While runs share an agent, none may change its tools: they would be those of the others, too.

A hook may change its agent's tools, for the user whom the run is for. Where another run has the
agent object as well, in whatever turn, neither can know whose tools it gets.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import UserError

if TYPE_CHECKING:
    from ..agent import Agent


class _Use:
    """That a run has an agent, since its tools had a version."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.is_shared = False


class _InUse:
    """An agent that runs have at present, with the tools that it was last seen with."""

    def __init__(self, agent: Agent[Any]) -> None:
        self.agent = agent  # kept alive, as the tools are, so that no other has the id of one
        self.tools = tuple(agent.tools)
        self.version = self.up_to_date = 0
        self.uses: set[_Use] = set()

    def look(self) -> None:
        """Note whether the tools have changed, and for whom that matters."""
        tools = tuple(self.agent.tools)
        if [*map(id, tools)] != [*map(id, self.tools)]:
            self.tools, self.version, self.up_to_date = tools, self.version + 1, 0
        if self.up_to_date < len(self.uses) > 1:
            for use in self.uses:
                use.is_shared = True

    def add(self) -> _Use:
        self.look()
        use = _Use(self.version)
        self.uses.add(use)
        self.up_to_date += 1
        self.look()
        return use

    def remove(self, use: _Use) -> None:
        self.look()
        self.uses.remove(use)
        self.up_to_date -= use.version == self.version


_LOCK: Final = threading.Lock()
_in_use: Final[dict[int, _InUse]] = {}


class OwnTools:
    """The agents that a run has come to, until it ends."""

    def __init__(self) -> None:
        self._uses: dict[int, _Use] = {}

    def use(self, agent: Agent[Any]) -> None:
        """Note that the run has `agent` from here on."""
        with _LOCK:
            if id(agent) not in self._uses:
                in_use = _in_use.setdefault(id(agent), _InUse(agent))
                self._uses[id(agent)] = in_use.add()

    def check(self, agent: Agent[Any]) -> None:
        """See that the tools are those that the agent had, or that no other run has it.

        Raises
        ------
        UserError
            Both would get tools of which it is not known whose they are.
        """
        with _LOCK:
            _in_use[id(agent)].look()
        if self._uses[id(agent)].is_shared:
            raise UserError(
                f"The tools of agent {agent.name!r} were changed while concurrent runs had it, so "
                "that one would get the other's. Give each run an agent of its own, as "
                "agent.clone() makes it, or a tool is_enabled=function, which is asked in each run."
            )

    def close(self) -> None:
        """The run has ended."""
        with _LOCK:
            for key, use in self._uses.items():
                _in_use[key].remove(use)
                if not _in_use[key].uses:
                    del _in_use[key]
            self._uses.clear()
