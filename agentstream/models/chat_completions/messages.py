"""Input items of the Responses API as messages of the Chat API.

| items                                                   | message                              |
|---------------------------------------------------------|--------------------------------------|
| a message of the user, system or developer              | one of that role                     |
| a model's message, its calls, and the reasoning before  | one of the assistant, `tool_calls`   |
| the output of a call                                    | one of the tool                      |
| hosted tools' items, references, compactions            | none: UserError                      |

A model's message and the calls that follow it are one message, since they were one answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..._utils.warn_once import warn_once
from ...exceptions import UserError
from .content import answer_fields, content_parts, is_answer, tool_content
from .reasoning_replay import (
    ReasoningContentReplayContext,
    ReasoningContentSource,
    ShouldReplayReasoningContent,
    default_should_replay_reasoning_content,
)

if TYPE_CHECKING:
    from ..request import ModelRequest

__all__ = ["ReplayPolicy", "chat_messages"]


_ROLES: Final = ("user", "system", "developer", "assistant")
_HOW_OUT: Final = (
    "Use OpenAIResponsesModel, or leave such items out of the input "
    "(agentstream.extensions.handoff_filters.remove_all_tools does so for handoffs)."
)


@dataclass(frozen=True)
class ReplayPolicy:
    """What of an earlier answer is sent back, and how strictly.

    Attributes
    ----------
    model, base_url : str
        Who is asked.
    hook : callable or None
        Decides for each reasoning item; None: by the model's name.
    strict : bool
        Raise where something has to be left out.
    """

    model: str
    base_url: str | None = None
    hook: ShouldReplayReasoningContent | None = None
    strict: bool = False

    def leave_out(self, what: str, instead: str) -> None:
        """Warn about, or if strict refuse, what cannot be sent.

        Raises
        ------
        UserError
            Strict.
        """
        if self.strict:
            raise UserError(what)
        warn_once(f"{what} {instead} Pass strict_feature_validation=True to get an error.")

    def reasoning_fields(self, item: Mapping[str, Any]) -> dict[str, str]:
        """The fields of an assistant's message that bring this reasoning back."""
        data = item.get("provider_data")
        data = data if isinstance(data, Mapping) else {}
        origin = data.get("model")
        fields = {}
        summary = _joined(item.get("summary"))
        if summary and self._replays(item, origin, data):
            fields["reasoning_content"] = summary
        # Groq, OpenRouter, Ollama: the model that said it understands the field it used.
        if data.get("_chat_completions_reasoning_field") == "reasoning" and origin == self.model:
            text = _joined(item.get("content"))
            if text:
                fields["reasoning"] = text
        return fields

    def _replays(self, item: Any, origin: Any, data: Mapping[str, Any]) -> bool:
        context = ReasoningContentReplayContext(
            model=self.model,
            base_url=self.base_url,
            reasoning=ReasoningContentSource(item, origin, data),
        )
        if self.hook is not None:
            return self.hook(context)
        own = origin is None or "deepseek" in str(origin).lower()
        return own and default_should_replay_reasoning_content(context)


def chat_messages(request: ModelRequest, policy: ReplayPolicy) -> list[dict[str, Any]]:
    """Translate the instructions and the conversation.

    Raises
    ------
    UserError
        An item has no counterpart in the Chat API.
    """
    writer = _Writer(policy)
    if request.system_instructions:
        writer.messages.append({"role": "system", "content": request.system_instructions})
    if isinstance(request.input, str):
        writer.messages.append({"role": "user", "content": request.input})
    else:
        for item in request.input:
            writer.add(item)
    writer.end_answer()
    return writer.messages


class _Writer:
    """Write messages one by one; an answer stays open while its parts come."""

    def __init__(self, policy: ReplayPolicy) -> None:
        self.messages: list[dict[str, Any]] = []
        self._policy = policy
        self._answer: dict[str, Any] | None = None
        self._reasoning: dict[str, str] = {}

    def add(self, item: Any) -> None:
        if not isinstance(item, Mapping):
            raise UserError(
                f"Unhandled item type or structure: {item!r:.300}. An input item is a dict, as "
                "result.to_input_list() returns."
            )
        kind = item.get("type") or ("message" if item.get("role") else None)
        if kind == "message" and item.get("role") in _ROLES:
            self._add_message(item)
        elif kind == "function_call":
            self._add_call(item, item.get("call_id"), item.get("name"), item.get("arguments"))
        elif kind == "function_call_output":
            self._add_output(item)
        elif kind == "reasoning":
            self._reasoning = self._policy.reasoning_fields(item)
        elif kind == "file_search_call":
            action = {"queries": list(item.get("queries") or []), "status": item.get("status")}
            self._add_call(item, item.get("id"), "file_search_call", json.dumps(action))
        else:
            raise UserError(_refusal(kind, item))

    def end_answer(self) -> None:
        if self._answer is not None:
            self.messages.append(self._answer)
        self._answer, self._reasoning = None, {}

    def _add_message(self, item: Mapping[str, Any]) -> None:
        if not is_answer(item):
            self.end_answer()
            only_text = item["role"] != "user"
            content = content_parts(item.get("content"), only_text=only_text)
            self.messages.append({"role": item["role"], "content": content})
            return
        fields = answer_fields(item["content"])
        if self._answer is not None and (
            "tool_calls" not in self._answer
            or self._answer.get("content") is not None
            or "refusal" in self._answer
        ):
            self.end_answer()
        self._open_answer().update(fields)

    def _add_call(self, item: Mapping[str, Any], call_id: Any, name: Any, arguments: Any) -> None:
        if not isinstance(call_id, str) or not isinstance(name, str):
            raise UserError(f"A function call needs a call_id and a name: {item!r:.300}")
        call: dict[str, Any] = {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments or "{}"},
        }
        data = item.get("provider_data")
        signature = data.get("thought_signature") if isinstance(data, Mapping) else None
        if signature and "gemini" in self._policy.model.lower():
            call["extra_content"] = {"google": {"thought_signature": signature}}
        if self._answer is None:
            self._answer = {"role": "assistant", "content": None}
        self._open_answer().setdefault("tool_calls", []).append(call)

    def _add_output(self, item: Mapping[str, Any]) -> None:
        self.end_answer()
        call_id = item.get("call_id")
        if call_id is None:
            raise UserError(
                "Unpaired function outputs, which have no call_id, cannot be sent to Chat "
                "Completions: a tool message answers a call. Use a Responses model, or give what "
                f"it says in a user message: {item!r:.300}"
            )
        content = tool_content(item.get("output"), self._policy.leave_out)
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        self.messages.append(message)

    def _open_answer(self) -> dict[str, Any]:
        if self._answer is None:
            self._answer = {"role": "assistant"}
        self._answer.update(self._reasoning)
        self._reasoning = {}
        return self._answer


def _refusal(kind: Any, item: Mapping[str, Any]) -> str:
    if kind == "item_reference":
        return (
            f"Encountered an item_reference, which is not supported: {dict(item)!r}. The Chat "
            "API keeps no items: send the items themselves."
        )
    if kind == "compaction":
        return f"Compaction items are not supported for chat completions. {_HOW_OUT}"
    if kind is None or kind == "message":
        return f"Unhandled item type or structure: {dict(item)!r:.300}. Give it a type or a role."
    return (
        f"Unhandled item type or structure: Chat Completions has no counterpart of {kind!r} items. "
        f"{_HOW_OUT} The item: {dict(item)!r:.300}"
    )


def _joined(parts: Any) -> str:
    texts = (part.get("text") for part in parts or () if isinstance(part, Mapping))
    return "\n".join(text for text in texts if text)
