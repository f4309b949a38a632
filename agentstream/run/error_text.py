"""What the model gets in place of a tool's output, in the words of the run's formatter."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from ..run_config import ToolErrorFormatterArgs
from .options import LoopOptions, call

if TYPE_CHECKING:
    from ..run_context import RunContextWrapper

logger = logging.getLogger("agentstream")


async def error_text(
    options: LoopOptions,
    context: RunContextWrapper[Any],
    kind: Literal["approval_rejected", "tool_not_found", "tool_exception"],
    default: str,
    *,
    tool_name: str,
    call_id: str,
    error: Exception | None = None,
) -> str:
    """`default`, or what `RunConfig.tool_error_formatter` makes of it.

    A formatter that fails, or gives no text, leaves the default: it must not end the run, and the
    model must not see what it choked on.
    """
    formatter = options.config.tool_error_formatter
    if formatter is None:
        return default
    arguments = ToolErrorFormatterArgs(
        kind=kind,
        tool_type="function",
        tool_name=tool_name,
        call_id=call_id,
        default_message=default,
        run_context=context,
        error=error,
    )
    try:
        text = await call(formatter, arguments)
    except Exception as failure:  # whatever the user's function raises
        why = f"raised {type(failure).__name__}"
        logger.debug("tool_error_formatter failed:", exc_info=True)
    else:
        if isinstance(text, str):
            return text
        if text is None:
            return default
        why = f"returned {type(text).__name__}"
    logger.warning(
        "tool_error_formatter %s for the tool %r; the model gets the default message. Let it "
        "return text, or None for the default.",
        why,
        tool_name,
    )
    return default
