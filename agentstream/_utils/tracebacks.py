"""What IPython shows of an error: the user's own lines, once, and not what lies beneath.

An error of a run has passed through a dozen functions of this package, of the HTTP client and of
asyncio, before it comes to the line that the user wrote. IPython asks an exception for
``_render_traceback_``: here is the answer, for our own errors and for others that leave a run.
``%tb`` shows the whole, and so do scripts, pytest and debuggers, for nothing is cut off.
"""

from __future__ import annotations

import linecache
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Literal

__all__ = [
    "LONGEST_LINE",
    "attach_short_traceback",
    "has_full_traceback",
    "render",
    "shorten",
    "user_frames",
]

Origin = Literal["user", "library", "package"]

_PACKAGE: Final = __name__.partition(".")[0]
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


LONGEST_LINE: Final = 300
"""Characters of a message that is told in one line."""

_TYPED: Final = ("<ipython-input", "<stdin>", "<string>", "<console>", "<doctest", "<cell")

_LONGEST_FRAMES: Final = 8_000
"""Characters of a failed tool's frames; the last are nearest to the failure."""


def attach_short_traceback(error: BaseException) -> None:
    """Have IPython show `error` as our own errors are shown; done where it leaves a run.

    What the frames beneath the user's own hold is let go: a traceback that prints locals would show
    what a server sent, and the headers that the HTTP library sent.

    An error that shows itself in a way of its own is left as it is.
    """
    seen: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen[id(each)] = each
            waiting += [each.__cause__, each.__context__]  # "from None" hides, and does not drop
            _clear(each.__traceback__)
    if not hasattr(error, "_render_traceback_"):
        # No bound method: with the frames of its traceback the error would hold itself.
        vars(error)["_render_traceback_"] = _render_last


def _clear(trace: TracebackType | None) -> None:
    """Let go of the locals of frames that have ended: ours, and those of libraries we called."""
    above: Origin = "package"
    for at in _each(trace):
        origin = _origin(at)
        if origin != "library":
            above = origin
        if above == "package":
            with suppress(RuntimeError):  # it is still at work
                at.tb_frame.clear()


def _render_last() -> list[str]:
    # IPython notes the exception there before it asks.
    error: Any = sys.last_value
    return render(error)


def render(error: BaseException) -> list[str]:
    """The traceback of `error` in IPython's form, short at the first time, then whole."""
    from IPython.core.getipython import get_ipython

    style: Any = getattr(get_ipython(), "InteractiveTB", None)
    trace = error.__traceback__
    if style is None:
        import traceback

        return traceback.format_exception(error)
    if vars(error).get("_rendered") is trace:  # %tb
        return list(style.structured_traceback(type(error), error, trace))
    vars(error)["_rendered"] = trace
    with _shortened(error) as (left_out, causes):
        lines = list(style.structured_traceback(type(error), error, error.__traceback__, 0))
    lines += [f"Caused by {type(cause).__name__}: {cause}" for cause in causes]
    if left_out:
        frames = "1 frame" if left_out == 1 else f"{left_out} frames"
        verb, them = ("is", "it") if left_out == 1 else ("are", "them")
        lines.append(f"({frames} of {_PACKAGE} and below {verb} left out; %tb shows {them})")
    return lines


def has_full_traceback(error: BaseException) -> bool:
    """Whether IPython has just shown `error` with its whole message.

    The magic's one line has the message if that is one line.
    """
    if getattr(sys, "last_value", None) is not error:
        return False
    text = str(error)
    return "_rendered" in vars(error) or (len(text) <= LONGEST_LINE and "\n" not in text)


@contextmanager
def _shortened(error: BaseException) -> Iterator[tuple[int, list[BaseException]]]:
    """Shorten `error` and its chain for a while; how many frames were left out, and whose all.

    An error of the chain that has no frame of the user's is no longer in it: its text is enough.
    """
    chain = list(_chain(error))
    before = [
        (each, each.__traceback__, each.__cause__, each.__context__, each.__suppress_context__)
        for each in chain
    ]
    try:
        left_out, visible, causes = 0, [error], []
        for each in chain:
            short, count = shorten(each.__traceback__)
            left_out += count
            each.__traceback__ = short
            if each is not error and short is None:
                causes.append(each)
            elif each is not error:
                visible.append(each)
        for each, following in zip(visible, [*visible[1:], None], strict=True):
            each.__cause__ = following
        message = str(error)
        # Libraries wrap an error in one of their own that says the same.
        new = {str(each): each for each in reversed(causes) if str(each) not in message}
        yield left_out, list(reversed(new.values()))
    finally:
        for each, trace, cause, context, suppressed in before:
            each.__traceback__, each.__cause__, each.__context__ = trace, cause, context
            each.__suppress_context__ = suppressed


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it, each once, as Python would show them."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def shorten(trace: TracebackType | None) -> tuple[TracebackType | None, int]:
    """A traceback without the frames of this package, and of libraries that it called.

    Libraries that the user's own code called, as in a tool, are kept; None where nothing is left.
    Beside it: how many frames were left out.
    """
    kept: list[TracebackType] = []
    libraries: list[TracebackType] = []
    above: Origin = "package"
    total = 0
    for at in _each(trace):
        origin = _origin(at)
        total += bool(kept) or origin != "library"  # not IPython's own, above the cell
        if origin == "library":
            libraries.append(at)
        else:
            if origin == above == "user":
                kept += libraries
            libraries = []
            if origin == "user":
                kept.append(at)
            above = origin
    if above == "user":
        kept += libraries
    shorter: TracebackType | None = None
    for each in reversed(kept):
        shorter = TracebackType(shorter, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shorter, total - len(kept)


def user_frames(error: BaseException) -> str | None:
    """The lines of the user's own code that led to `error`, as Python writes them.

    Without the error's own message; None where no line is the user's.
    """
    trace, lines = error.__traceback__, list[str]()
    for at in _each(trace):
        if _origin(at) == "user":
            code = at.tb_frame.f_code
            # A cell's file has another name in each kernel, and is saved with the notebook.
            is_cell = "ipykernel_" in code.co_filename or "<ipython-input" in code.co_filename
            name = "Cell" if is_cell else f'File "{code.co_filename}"'
            lines.append(f"{name}, line {at.tb_lineno}, in {code.co_name}")
            source = linecache.getline(code.co_filename, at.tb_lineno).strip()
            lines += [f"    {source}"] * bool(source)
    return "\n".join(lines)[-_LONGEST_FRAMES:] or None


def _each(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _origin(trace: TracebackType) -> Origin:
    frame = trace.tb_frame
    name = str(frame.f_globals.get("__name__", ""))
    if name.partition(".")[0] == _PACKAGE:
        return "package"
    path = frame.f_code.co_filename
    # "<sqlalchemy generated ...>", "<decorator-gen-3>" and their like
    is_generated = path.startswith("<") and not path.startswith(_TYPED)
    is_library = is_generated or path.startswith(_LIBRARIES) or "-packages" in path
    return "library" if is_library else "user"
