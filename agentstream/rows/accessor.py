"""`df.agent.map(...)`: `map_frame` as a method of pandas' frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from .estimate import Estimate, estimate
from .map import map_frame

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..agent import Agent
    from .compare import Comparison
    from .estimate import EstimateOptions
    from .frame_run import FrameRun
    from .options import AgentOrMaker, CompareOptions
    from .prompt import RowPrompt

__all__ = ["AgentAccessor"]


class AgentAccessor:
    """What ``df.agent`` gives; registered by ``import agentstream.pandas``.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.

    Examples
    --------
    >>> import agentstream.pandas
    >>> from agentstream import Agent
    >>> from agentstream.testing import ScriptedModel
    >>> reviews = pd.DataFrame({"review": ["Great!"]})
    >>> critic = Agent(name="Critic", model=ScriptedModel(["good"]))
    >>> reviews.agent.map(critic, "Classify: {review}").wait()["final_output"][0]
    'good'
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def map(
        self,
        agent: AgentOrMaker | Mapping[str, AgentOrMaker],
        prompt: RowPrompt,
        **options: Unpack[CompareOptions],
    ) -> FrameRun[pd.DataFrame] | Comparison:
        """Run an agent for each row, in the background.

        Parameters
        ----------
        agent, prompt, **options
            As for `map_frame`.
        """
        ask: Callable[..., FrameRun[pd.DataFrame] | Comparison] = map_frame
        return ask(agent, self._frame, prompt, **options)

    def estimate(
        self, agent: Agent[Any], prompt: RowPrompt, **options: Unpack[EstimateOptions]
    ) -> Estimate:
        """Say what it will take and cost.

        Parameters
        ----------
        agent, prompt, **options
            As for `agentstream.estimate`.
        """
        return estimate(agent, self._frame, prompt, **options)


def register() -> None:
    """Give pandas' frames the accessor; again is nothing new."""
    if getattr(pd.DataFrame, "agent", None) is not AgentAccessor:
        pd.api.extensions.register_dataframe_accessor("agent")(AgentAccessor)
