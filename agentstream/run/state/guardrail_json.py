"""What a run's guardrails found, as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from pydantic_core import to_jsonable_python

from ...exceptions import UserError
from ...guardrails import (
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailResult,
    OutputGuardrail,
    OutputGuardrailResult,
)
from ...tool_guardrails import (
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailResult,
    ToolOutputGuardrail,
    ToolOutputGuardrailResult,
)

if TYPE_CHECKING:
    from ...agent import Agent
    from .run_state import RunState


class Names(Protocol):
    """The name of each agent, as it is saved."""

    def __getitem__(self, agent: Agent[Any], /) -> str: ...


def guardrails_to_json(state: RunState[Any], names: Names) -> dict[str, list[Any]]:
    """The results of all four kinds of guardrails."""
    return {
        "input": [_checked(r) for r in state.input_guardrail_results],
        "output": [
            {
                **_checked(r),
                "agent": names[r.agent],
                "agent_output": to_jsonable_python(r.agent_output, fallback=str),
            }
            for r in state.output_guardrail_results
        ],
        "tool_input": [_behaved(r) for r in state.tool_input_guardrail_results],
        "tool_output": [_behaved(r) for r in state.tool_output_guardrail_results],
    }


def _checked(result: InputGuardrailResult | OutputGuardrailResult) -> dict[str, Any]:
    return {**_named(result), "tripwire_triggered": result.output.tripwire_triggered}


def _behaved(result: ToolInputGuardrailResult | ToolOutputGuardrailResult) -> dict[str, Any]:
    return {**_named(result), "behavior": result.output.behavior}


def _named(result: Any) -> dict[str, Any]:
    info = to_jsonable_python(result.output.output_info, fallback=str)
    return {"name": result.guardrail.get_name(), "output_info": info}


def guardrails_from_json(
    state: RunState[Any], data: Mapping[str, list[Any]], agents: Mapping[str, Agent[Any]]
) -> None:
    """Give `state` the results in `data`.

    The guardrails themselves are found by name among those of `agents`; one that is not found is
    known by its name alone.
    """
    inputs = {g.get_name(): g for agent in agents.values() for g in agent.input_guardrails}
    outputs = {g.get_name(): g for agent in agents.values() for g in agent.output_guardrails}
    for plain in data["input"]:
        guard = inputs.get(plain["name"]) or InputGuardrail(_missing_function, plain["name"])
        state.input_guardrail_results.append(InputGuardrailResult(guard, _output(plain)))
    for plain in data["output"]:
        known = outputs.get(plain["name"]) or OutputGuardrail(_missing_function, plain["name"])
        agent = agents.get(plain["agent"], state.agent)
        state.output_guardrail_results.append(
            OutputGuardrailResult(known, plain["agent_output"], agent, _output(plain))
        )
    for plain in data["tool_input"]:
        state.tool_input_guardrail_results.append(
            ToolInputGuardrailResult(
                ToolInputGuardrail(_missing_function, plain["name"]), _behavior(plain)
            )
        )
    for plain in data["tool_output"]:
        state.tool_output_guardrail_results.append(
            ToolOutputGuardrailResult(
                ToolOutputGuardrail(_missing_function, plain["name"]), _behavior(plain)
            )
        )


def _output(plain: dict[str, Any]) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(plain["output_info"], plain["tripwire_triggered"])


def _behavior(plain: dict[str, Any]) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput(plain["output_info"], plain["behavior"])


def _missing_function(*args: Any) -> NoReturn:
    raise UserError(
        "This guardrail comes from a saved run and is known by its name alone; "
        "run the one that your program defines."
    )
