"""What `show` gives has what the run's result has: for whoever forgot the ``await``."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._utils.keywords import suggest
from ..trace import Trace
from .run_adapter import RunAdapter

if TYPE_CHECKING:
    import pandas as pd

    from ..items import RunItem, ToolApprovalItem
    from ..trace.dataframes import Table
    from ..trace.timeline.timeline import Timeline

Result = TypeVar("Result", covariant=True)
Event = TypeVar("Event", covariant=True)


class DisplayedRun(Generic[Result, Event]):
    """A run that is shown: ``await`` it to watch to the end; it gives the run's result.

    Until then, and afterwards, it has what the result has.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, show
    >>> from agentstream.testing import ScriptedModel
    >>> async def main():
    ...     shown = show(Agent(name="Poet", model=ScriptedModel(["Rain on the roof."])), "A line")
    ...     await shown
    ...     return shown.final_output
    >>> asyncio.run(main())
    > A line
    Poet
    Rain on the roof.
    'Rain on the roof.'
    """

    source: RunAdapter

    @property
    def result(self) -> Result:
        """The run's result, at once; `await` gives it when the run has ended."""
        result: Result = self.source.result
        return result

    @property
    def trace(self) -> Trace:
        """The run as data."""
        return self.source.trace

    @property
    def final_output(self) -> Any:
        """The final output; None, and a warning, while the run goes on."""
        if not self.source.is_complete:
            warnings.warn(
                "The run has not ended, and has no final output yet: `await show(...)` waits for "
                "its end, and gives its result.",
                stacklevel=2,
            )
        return self.source.result.final_output

    @property
    def new_items(self) -> list[RunItem]:
        """The items of the run so far, in order."""
        items: list[RunItem] = self.source.result.new_items
        return items

    @property
    def interruptions(self) -> list[ToolApprovalItem]:
        """Calls that wait for a decision."""
        waiting: list[ToolApprovalItem] = self.source.result.interruptions
        return waiting

    def to_frame(self, table: Table = "items") -> pd.DataFrame:
        """The run as a DataFrame, as of now; see the result's `to_frame` for `table`."""
        from ..trace.dataframes import to_frame

        return to_frame(self, table)

    def timeline(self, *, width: float = 960) -> Timeline:
        """What the run has done with its time; see the result's `timeline` for `width`."""
        from ..trace.timeline.timeline import Timeline

        return Timeline(self, width=width)

    def cancel(self) -> None:
        """Stop the run; what arrived stays readable."""
        self.source.cancel()

    if not TYPE_CHECKING:  # a checker is to find what does not exist

        def __getattr__(self, name: str) -> Any:
            """What the run's result has besides.

            Raises
            ------
            AttributeError
                It has nothing of that name either.
            """
            source = vars(self).get("source")
            if source is not None and not name.startswith("_") and hasattr(source.result, name):
                return getattr(source.result, name)
            hint = "" if name.startswith("_") else suggest(name, dir(self))
            text = (
                f"What show() gives has no {name!r}, nor has the run's result, which "
                f"`await show(...)` gives.{hint}"
            )
            # Given a name, Python's own traceback would suggest it once more.
            raise AttributeError(text, name=None, obj=None)

    def __dir__(self) -> list[str]:
        """What the result has: what `show` gives is to be used as such."""
        own = DisplayedRun.__dict__
        public = {name for name in (*own, *dir(self.source.result)) if not name.startswith("_")}
        return sorted(public)

    def __await__(self) -> Generator[Any, None, Result]:
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[Event]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Event]:
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"show({self.source.result!r})"
