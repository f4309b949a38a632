"""Keyword arguments that nobody takes: the error names the one that was meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .tracebacks import attach_short_traceback

__all__ = [
    "HISTORY_METHODS",
    "Suggesting",
    "check_keywords",
    "letting_go",
    "named_keywords",
    "nearest",
    "suggest",
    "suggesting",
    "suggesting_init",
    "with_wrapper",
]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


_OTHER_NAMES = {
    "input": "prompt message messages question query user_input user_prompt text",
    "instructions": "system system_prompt system_message prompt",
    "output_type": "result_type response_model response_format output_schema schema",
    "tools": "functions toolset",
    "context": "deps dependencies state",
    "max_turns": "max_steps max_iterations recursion_limit",
    "model_settings": "temperature top_p max_tokens tool_choice reasoning parallel_tool_calls",
    "model": "llm client",
    "session": "memory history message_history",
    "name_override": "name",
    "tool_name_override": "name",
    "description_override": "description",
    "tool_description_override": "description",
    "params": "command args env url headers",
    "session_settings": "limit",
    "usd": "budget cost dollars",
}
"""What other libraries call it, by our names."""


def suggest(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'tools'?``, or nothing where no name is near.

    Examples
    --------
    >>> suggest("tool", ["name", "tools"])
    " Did you mean 'tools'?"
    """
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant; None where none is near."""
    from difflib import get_close_matches  # after a mistake, not before the first run

    near = get_close_matches(name, [one for one in known if not one.startswith("_")], 1)
    return near[0] if near else None


def named_keywords(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names that a function takes as keywords, in order."""
    return tuple(
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    )


def check_keywords(callee: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse a keyword argument that is not known.

    Raises
    ------
    TypeError
        In Python's words, with the name that is near.

    Examples
    --------
    >>> check_keywords("show", ["timelin"], ["table", "timeline"])
    Traceback (most recent call last):
    ...
    TypeError: show() got an unexpected keyword argument 'timelin'. Did you mean 'timeline'?
    """
    for name in names:
        if name not in known:
            text = f"{callee}() got an unexpected keyword argument {name!r}."
            meant = [one for one, others in _OTHER_NAMES.items() if name in others.split()]
            ours = [f" Did you mean {one!r}?" for one in meant if one in known]
            raise TypeError(text + (ours[0] if ours else suggest(name, known)))


def suggesting(function: F) -> F:
    """A decorator: wrong keyword arguments name what is near, and errors are shown short."""
    return _checked(function, function.__qualname__, named_keywords(function))


def letting_go(function: F) -> F:
    """A decorator: an error holds none of the arguments, which a traceback of locals would show."""
    return _checked(function, function.__qualname__, None)


def suggesting_init(cls: C) -> C:
    """A decorator for classes: `suggesting` for what makes them."""
    initialise: Any = _checked(cls.__init__, cls.__name__, named_keywords(cls))  # type: ignore[misc]
    cls.__init__ = initialise  # type: ignore[misc]
    return cls


def _checked(function: F, callee: str, known: Collection[str] | None) -> F:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def checked_async(*args: Any, **kwargs: Any) -> Any:
            try:
                if known is not None:
                    check_keywords(callee, kwargs, known)
                return await function(*args, **kwargs)
            except Exception as error:
                del args, kwargs  # a traceback that prints locals would show them
                attach_short_traceback(error)
                raise

        return checked_async  # type: ignore[return-value]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            if known is not None:
                check_keywords(callee, kwargs, known)
            return function(*args, **kwargs)
        except Exception as error:
            del args, kwargs
            attach_short_traceback(error)
            raise

    return checked  # type: ignore[return-value]


class Suggesting:
    """Base of what a program holds: an attribute that it has not names the one that is near."""

    if not TYPE_CHECKING:  # a checker is to find what does not exist

        def __getattr__(self, name: str) -> Any:
            """There is no such attribute; or a property failed, whose own error is raised.

            Raises
            ------
            AttributeError
                With the name that is near.
            """
            failed = getattr(type(self), name, None)
            if isinstance(failed, property):  # Python has dropped what it raised
                return failed.__get__(self)
            hint = "" if name.startswith("_") else self._hint(name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}.{hint}"
            # Given a name, Python's own traceback would suggest it once more.
            raise AttributeError(text, name=None, obj=None)

    def _hint(self, name: str) -> str:
        """What to say to a program that asks for a public attribute that is not there."""
        return suggest(name, dir(self))


HISTORY_METHODS = ("get_items", "add_items", "pop_item", "clear_session")
"""What every session has."""


def with_wrapper(session: Any, wrapper: Any) -> dict[str, Any]:
    """The keyword ``wrapper`` for the methods of a session, if all four of them name it.

    A session of that kind chooses by the run's context where it keeps the items.

    Examples
    --------
    >>> from agentstream import RunContextWrapper, SQLiteSession
    >>> with_wrapper(SQLiteSession("ada"), RunContextWrapper(None))
    {}
    """
    if wrapper is None:
        return {}
    for name in HISTORY_METHODS:
        try:
            known = named_keywords(getattr(session, name))
        except Exception:  # noqa: BLE001 - it tells nothing of itself
            return {}
        if "wrapper" not in known:
            return {}
    return {"wrapper": wrapper}
