"""Which object runs agents: agentstream itself, or one that a program puts in its place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..agent import Agent
    from ..run_context import TContext
    from .options import RunOptions
    from .result import RunResult
    from .state.run_state import RunState
    from .streamed_result import RunResultStreaming

ClassT = TypeVar("ClassT", bound=type)
MethodT = TypeVar("MethodT", bound=Callable[..., Any])

_direct: dict[str, Callable[..., Any]] = {}
_default: Any = None
_runner: Any = None


def get_default_agent_runner() -> Any:
    """The object that `Runner` hands each run to.

    Examples
    --------
    >>> type(get_default_agent_runner()).__name__
    'AgentRunner'
    """
    return AgentRunner() if _default is None else _default


def set_default_agent_runner(runner: Any) -> None:
    """Have `Runner` hand each run to another object, as test doubles and wrappers of the SDK do.

    Parameters
    ----------
    runner : AgentRunner or None
        Has ``run``, ``run_sync`` and ``run_streamed``. None: agentstream itself again.

    Examples
    --------
    >>> set_default_agent_runner(None)
    """
    global _default
    _default = runner


def is_replaced() -> bool:
    """Whether a program has put another object in the place of `Runner`."""
    return _default is not None and type(_default) is not AgentRunner


class AgentRunner:
    """Runs agents as `Runner` does, for subclasses that do something around it.

    Examples
    --------
    >>> class Counting(AgentRunner):
    ...     runs = 0
    ...     async def run(self, starting_agent, input, **options):
    ...         self.runs += 1
    ...         return await super().run(starting_agent, input, **options)
    """

    async def run(
        self,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        **options: Unpack[RunOptions[TContext]],
    ) -> RunResult:
        """As `Runner.run`."""
        result: RunResult = await _direct["run"](_runner, starting_agent, input, **options)
        return result

    def run_sync(
        self,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        **options: Unpack[RunOptions[TContext]],
    ) -> RunResult:
        """As `Runner.run_sync`."""
        result: RunResult = _direct["run_sync"](_runner, starting_agent, input, **options)
        return result

    def run_streamed(
        self,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        **options: Unpack[RunOptions[TContext]],
    ) -> RunResultStreaming:
        """As `Runner.run_streamed`."""
        result: RunResultStreaming = _direct["run_streamed"](
            _runner, starting_agent, input, **options
        )
        return result


def runs_agents(cls: ClassT) -> ClassT:
    """Have `AgentRunner` run agents by the `replaceable` methods of this class."""
    global _runner
    _runner = cls
    return cls


def replaceable(method: MethodT) -> MethodT:
    """Have a classmethod of `Runner` ask the default runner, where a program has set one."""
    name, signature = method.__name__, inspect.signature(method)

    def runs(cls: Any, *arguments: Any, **options: Any) -> Any:
        if not is_replaced():
            return method(cls, *arguments, **options)
        # By name, as the SDK gives them: a runner may know no more of them than **options.
        call = signature.bind(cls, *arguments, **options)
        call.apply_defaults()
        (_, agent), (_, input), *rest = list(call.arguments.items())[1:]
        return getattr(_default, name)(agent, input, **dict(rest))

    async def awaits(cls: Any, *arguments: Any, **options: Any) -> Any:
        return await runs(cls, *arguments, **options)

    chosen = awaits if inspect.iscoroutinefunction(method) else runs
    _direct[name] = method
    return functools.wraps(method)(chosen)  # type: ignore[return-value]
