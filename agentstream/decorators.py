"""The decorators in one place, with `tool` as the short name of `function_tool`."""

from .guardrails import input_guardrail, output_guardrail
from .tool_guardrails import tool_input_guardrail, tool_output_guardrail
from .tools.function_tool import function_tool

tool = function_tool

__all__ = [
    "function_tool",
    "input_guardrail",
    "output_guardrail",
    "tool",
    "tool_input_guardrail",
    "tool_output_guardrail",
]
