"""What a run gives when it has ended."""

from __future__ import annotations

from typing import Any

from .result_base import RunResultBase, described


class RunResult(RunResultBase):
    """The result of `Runner.run` and `Runner.run_sync`.

    Made by these; what it has is as for `RunResultStreaming`, without the events.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
    >>> Runner.run_sync(guide, "Hello")
    RunResult(last_agent='Guide', items=1, final_output='Good morning.')
    """

    def __repr__(self) -> str:
        return described(self, "RunResult")

    def _ipython_display_(self) -> None:
        """Nothing more where the cell shows the run already, as ``await show(result)`` does."""
        from ..notebook.show import is_displayed_here

        if not is_displayed_here(self):
            raise NotImplementedError  # IPython goes on with the bundle

    def _display_(self) -> Any:
        """What marimo shows of it as a cell's last expression."""
        from ..notebook.show import marimo_display

        return marimo_display(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Left as a cell's last expression, it shows what `show` leaves of a run."""
        from ..notebook.show import result_bundle

        return result_bundle(self)
