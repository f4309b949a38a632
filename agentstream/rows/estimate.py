"""`estimate`: what the rows of a frame will take and cost, before anything is asked."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from .._utils.keywords import suggesting
from ..exceptions import UserError, check_choice
from ..models.gate.admission import input_tokens
from ..run.sync import run_until_done
from ..run_config import RunConfig
from ..trace.prices import price_usd
from .batch.pool import PRICE
from .frames import as_pandas
from .key import agent_request, model_name
from .plan import Plan
from .prompt import Prompts, RowPrompt

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["Estimate", "EstimateOptions", "estimate"]

_OUTPUT: Final = 200


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of the rows of a frame.

    Attributes
    ----------
    rows, requests : int
        Rows of the frame, and how many of them differ: equal rows are asked once.
    input_tokens, output_tokens : int
        Of all requests.
    usd : float
        The price; NaN where it is not known.
    model : str
        Whose price it is.

    Examples
    --------
    >>> Estimate(100, 80, 12_000, 4_000, 0.011, "gpt-5-mini")
    <Estimate: 80 requests for 100 rows, 12,000 + 4,000 tokens, 0.0110 USD (gpt-5-mini)>
    """

    rows: int
    requests: int
    input_tokens: int
    output_tokens: int
    usd: float
    model: str

    def __repr__(self) -> str:
        price = "price not known" if math.isnan(self.usd) else f"{self.usd:.4f} USD"
        return (
            f"<Estimate: {self.requests:,} requests for {self.rows:,} rows, "
            f"{self.input_tokens:,} + {self.output_tokens:,} tokens, {price} ({self.model})>"
        )


class EstimateOptions(TypedDict, total=False):
    """The keyword options of `estimate`."""

    output_tokens: int
    sample: int
    context: Any
    run_config: RunConfig | dict[str, Any] | None
    mode: Literal["batch"] | None


@suggesting
def estimate(
    agent: Agent[Any],
    frame: Any,
    prompt: RowPrompt,
    *,
    output_tokens: int = _OUTPUT,
    sample: int = 200,
    context: Any = None,
    run_config: RunConfig | dict[str, Any] | None = None,
    mode: Literal["batch"] | None = None,
) -> Estimate:
    """Estimate tokens and cost of `map_frame` with the same arguments, at one call per row.

    Tokens are characters / 4, of a sample of the prompts; nothing is asked.

    Parameters
    ----------
    agent, frame, prompt, context, run_config, mode
        As for `map_frame`.
    output_tokens : int
        Tokens of an answer; a guess that you can improve after the first rows.
    sample : int
        How many prompts to sample.

    Returns
    -------
    Estimate

    Raises
    ------
    UserError
        The prompt does not fit the frame, or no row has one.

    Examples
    --------
    >>> import pandas as pd
    >>> from agentstream import Agent, estimate
    >>> reviews = pd.DataFrame({"review": ["Great!", "Never again.", "Great!"]})
    >>> estimate(Agent(name="Critic", model="gpt-5-mini"), reviews, "Classify: {review}").requests
    2
    """
    check_choice("estimate(mode=...)", mode, (None, "batch"))
    config = RunConfig.of(run_config)
    native, _ = as_pandas(frame, prompt)
    prompts = Prompts(native, prompt)
    plan = Plan(prompts, len(native))

    async def make() -> Any:
        request = await agent_request(agent, config, context)
        await plan.make(request, None, "error")
        return request

    request = run_until_done(make())
    count = len(plan.waiting)
    if not count:
        raise UserError("No row of the frame has a prompt: nothing would be asked.")
    keys = random.Random(0).sample(list(plan.waiting), min(sample, count))
    mean_tokens = sum(input_tokens({"input": plan.request(key)}) for key in keys) / len(keys)
    common = len(json.dumps(request)) / 4
    taken, written = round(count * (mean_tokens + common)), count * output_tokens
    model = model_name(agent, config)
    usd = price_usd(model, taken, 0, written) * (PRICE if mode == "batch" else 1)
    return Estimate(len(native), count, taken, written, usd, model)
