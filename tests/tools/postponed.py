"""Functions whose annotations are strings, as `from __future__ import annotations` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from agentstream import RunContextWrapper, tool_context


class Item(BaseModel):
    name: str


def simple(a: int, b: list[Item] | None = None) -> str: ...
def described(a: Annotated[int, "the a"]): ...
def unresolved_result(a: int) -> Undefined: ...  # type: ignore[name-defined]  # noqa: F821
def unresolved(a: Undefined): ...  # type: ignore[name-defined]  # noqa: F821
def hidden_context(ctx: RunContextWrapper[Any], a: int): ...
def hidden_tool_context(ctx: tool_context.ToolContext, a: int): ...


def closure() -> Callable[..., Any]:
    """A function that names a class of its enclosing function, which has returned."""

    class Local(BaseModel):
        x: int

    def inner(a: Local) -> int:
        return Local(x=a.x).x  # keeps Local in the closure

    return inner


def local(make: Callable[[Callable[..., Any]], Any]) -> Any:
    """What `make` makes of a function that names a local class, while this function runs."""

    class Local(BaseModel):
        x: int

    def inner(a: Local) -> None: ...

    return make(inner)
