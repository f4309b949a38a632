"""Conversations kept by the server, as far as `OpenAIConversationsSession` uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .http import RecordedRequest


class Conversations:
    """The conversations of one server.

    Attributes
    ----------
    items : dict
        Conversation id to the items in it, oldest first.
    """

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {}
        self._made = 0

    def answer(self, request: RecordedRequest) -> tuple[int, Any]:
        """The status and JSON that answer a request below `/conversations`."""
        url = urlsplit(request.path)
        _, _, rest = url.path.partition("/conversations")
        names = [name for name in rest.split("/") if name]
        if not names and request.method == "POST":
            return 200, self._create(request.body or {})
        if not names or names[0] not in self.items:
            return 404, {"error": {"message": f"No conversation {names[:1]}.", "code": "not_found"}}
        conversation = names[0]
        if len(names) == 1:
            if request.method == "DELETE":
                del self.items[conversation]
                deleted = {"object": "conversation.deleted", "deleted": True}
                return 200, {"id": conversation, **deleted}
            return 200, self._described(conversation)
        if len(names) == 3 and request.method == "DELETE":
            kept = [item for item in self.items[conversation] if item["id"] != names[2]]
            self.items[conversation] = kept
            return 200, self._described(conversation)
        if request.method == "POST":
            return 200, listing(self._add(conversation, request.body["items"]))
        return 200, self._page(conversation, parse_qs(url.query))

    def _create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        conversation = f"conv_{len(self.items) + 1}"
        self.items[conversation] = []
        self._add(conversation, body.get("items") or [])
        return self._described(conversation)

    def _add(self, conversation: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        added = []
        for item in items:
            self._made += 1
            kind = item.get("type", "message")
            item = {"id": f"msg_{self._made}", "type": kind, **item}
            if kind == "message" and isinstance(item.get("content"), str):
                part = "output_text" if item["role"] == "assistant" else "input_text"
                item["content"] = [{"type": part, "text": item["content"]}]
            added.append(item)
        self.items[conversation] += added
        return added

    def _page(self, conversation: str, query: Mapping[str, list[str]]) -> dict[str, Any]:
        items = list(self.items[conversation])
        if query.get("order", ["desc"])[0] == "desc":
            items.reverse()
        if after := query.get("after"):
            place = next((i for i, item in enumerate(items) if item["id"] == after[0]), -1)
            items = items[place + 1 :]
        limit = int(query.get("limit", ["20"])[0])
        return {**listing(items[:limit]), "has_more": len(items) > limit}

    def _described(self, conversation: str) -> dict[str, Any]:
        about = {"object": "conversation", "created_at": 1767225600, "metadata": {}}
        return {"id": conversation, **about}


def listing(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A list as the API answers it."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": False,
    }
