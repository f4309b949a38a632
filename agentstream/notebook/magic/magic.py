"""``%load_ext agentstream``: ask an agent with the text of a cell.

``%%agent`` is awaited like any other code of a cell, so that it is stopped, queued and interrupted
as `await show(...)` is. IPython's magics are no coroutines: the magic gives an awaitable, and an
input transformer writes ``await`` before its call.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Generator
from difflib import get_close_matches
from string import Formatter
from typing import Any
from weakref import WeakKeyDictionary

from ..._utils.printable import printable
from ..._utils.tracebacks import LONGEST_LINE
from ...exceptions import UserError
from ...sessions import SQLiteSession
from ..run_adapter import RunInterrupted
from ..show import show
from .options import FLAGS, MagicArguments, parse

_CALL = "_magic('agent', "
_LOADED: WeakKeyDictionary[Any, AgentMagic] = WeakKeyDictionary()

_HINTS = {
    "AuthenticationError": "is OPENAI_API_KEY set, and right?",
    "APIConnectionError": "is the server there, and its address right?",
    "MaxTurnsExceeded": "the traceback says in which turn it gave up",
}


def load_ipython_extension(ipython: Any) -> None:
    """Make ``%%agent`` and ``%agent`` known to `ipython`; called by ``%load_ext agentstream``.

    Examples
    --------
    In a notebook::

        %load_ext agentstream
    """
    if ipython not in _LOADED:
        _LOADED[ipython] = AgentMagic(ipython)
        _LOADED[ipython].register()


def unload_ipython_extension(ipython: Any) -> None:
    """Take them away from `ipython` again; called by ``%unload_ext agentstream``.

    Examples
    --------
    In a notebook::

        %unload_ext agentstream
    """
    magic = _LOADED.pop(ipython, None)
    if magic is not None:
        magic.unregister()


class AgentCellError(Exception):
    """What went wrong in a cell of ``%%agent``, in one line; ``%tb`` shows where.

    Attributes
    ----------
    reason : Exception or None
        The error itself; None where the cell is wrong.
    """

    def __init__(self, message: str, reason: Exception | None = None) -> None:
        super().__init__(message)
        self.reason = reason

    def _render_traceback_(self) -> list[str]:
        if self.reason is not None:
            # What %tb and %debug look at is what went wrong, not this line about it.
            error = self.reason
            sys.last_type, sys.last_value = type(error), error
            sys.last_traceback = error.__traceback__
            vars(sys)["last_exc"] = error  # Python 3.12 and later look here
        return [str(self)]


class Answering:
    """A question on its way: await it, or leave it there."""

    def __init__(self, display: Any, *, traceback: bool) -> None:
        self._display = display
        self._traceback = traceback

    def __await__(self) -> Generator[Any, None, None]:
        yield from self.answer().__await__()

    async def answer(self) -> Any:
        """Watch the run to its end; its result."""
        __tracebackhide__ = True
        try:
            return await self._display
        except Exception as error:
            if self._traceback or isinstance(error, RunInterrupted):
                raise
            raise AgentCellError(_one_line(error), error) from None

    def _ipython_display_(self) -> None:
        """Not awaited, as in a function or with ``%autoawait off``: it runs behind the cell."""
        self._display._ipython_display_()


def _one_line(error: Exception) -> str:
    kinds = [kind.__name__ for kind in type(error).__mro__]
    hint = next((_HINTS[kind] for kind in kinds if kind in _HINTS), "")
    first, _, more = printable(str(error)).partition("\n")
    if len(first) > LONGEST_LINE:
        first, more = first[:LONGEST_LINE], "more"
    line = f"{kinds[0]}: {first}{' …' * bool(more)}"
    return f"{line} ({hint}{'; ' * bool(hint)}%tb shows the traceback)"


def _agentstream_compat(line: str) -> None:
    """Let ``import agents`` find agentstream in this kernel, from now on.

    Run it before the first cell that imports ``agents``. ``agentstream.compat.uninstall()`` takes
    it back.
    """
    from ...compat import install

    install()


class AgentMagic:
    """The magics of one shell, and the sessions of its agents."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.sessions: dict[str, SQLiteSession] = {}
        self.matcher = _matcher(self.complete)

    def register(self) -> None:
        """Make the magics known, their completion, and their ``await``."""
        from IPython.core.magic import no_var_expand

        def agent(line: str, cell: str | None = None) -> Answering:
            return self.ask(line, cell)

        agent.__doc__ = HELP
        for kind in ("line", "cell"):
            self.shell.register_magic_function(no_var_expand(agent), kind, "agent")
        self.shell.register_magic_function(_agentstream_compat, "line", "agentstream_compat")
        self.shell.input_transformers_post.append(self.awaited)
        if self.matcher is not None:
            self.shell.Completer.custom_matchers.append(self.matcher)

    def unregister(self) -> None:
        """Take the magics away."""
        for kind in ("line", "cell"):
            self.shell.magics_manager.magics[kind].pop("agent", None)
        self.shell.magics_manager.magics["line"].pop("agentstream_compat", None)
        self.shell.input_transformers_post.remove(self.awaited)
        if self.matcher is not None:
            self.shell.Completer.custom_matchers.remove(self.matcher)

    # -- asking --

    def ask(self, line: str, cell: str | None) -> Answering:
        """Start what a magic asks for.

        Raises
        ------
        AgentCellError
            If no agent is meant, or nothing is asked.
        """
        try:
            arguments = parse(line, cell)
            agent = self.find(arguments)
            text = self._expanded(arguments.text) if arguments.expand else arguments.text
            if not text.strip():
                raise UserError("Nothing is asked: write the question below %%agent.")
            display = show(
                agent,
                text,
                table=arguments.table,
                timeline=arguments.timeline,
                session=self._session(arguments, agent),
            )
        except UserError as error:
            raise AgentCellError(f"%agent: {error}") from None
        if arguments.output:
            self.shell.user_ns[arguments.output] = display.source.result
        return Answering(display, traceback=arguments.traceback)

    def agents(self) -> dict[str, Any]:
        """The agents of the user's namespace, by the names of their variables."""
        return {
            name: value
            for name, value in self.shell.user_ns.items()
            if not name.startswith("_") and _is_agent(value)
        }

    def find(self, arguments: MagicArguments) -> Any:
        """The agent that is meant: by its variable, by its name, or the only one there is.

        Raises
        ------
        UserError
            If there is none, or if it may be more than one.
        """
        agents, name = self.agents(), arguments.agent
        if name in agents:
            return agents[name]
        named = {id(agent): agent for agent in agents.values() if agent.name == name}
        if name is None and agents:
            named = {id(agent): agent for agent in agents.values()}
        if len(named) == 1:
            return next(iter(named.values()))
        here = ", ".join(agents)
        if not agents:
            missing = "no agent" if name is None else f"no agent {name!r}"
            raise UserError(f"There is {missing} yet: tutor = Agent(name='Tutor') makes one.")
        if name is None:
            raise UserError(f"Which agent is asked? Write %%agent and one of: {here}.")
        if named:
            raise UserError(f"Several agents are named {name!r}; say the variable: {here}.")
        known = [*agents, *(agent.name for agent in agents.values())]
        close = get_close_matches(name, known, 1)
        meant = f" Did you mean {close[0]}?" if close else ""
        if name in self.shell.user_ns:
            kind = type(self.shell.user_ns[name]).__name__
            raise UserError(f"{name} is no agent but {kind}. Agents here: {here}.")
        raise UserError(f"There is no agent {name!r}.{meant} Agents here: {here}.")

    def _session(self, arguments: MagicArguments, agent: Any) -> Any:
        if arguments.session is None:
            return None
        own = self.shell.user_ns.get(arguments.session)
        if hasattr(own, "get_items") and hasattr(own, "add_items"):
            return own
        name = arguments.session or agent.name
        if arguments.new or name not in self.sessions:
            self.sessions[name] = SQLiteSession(name)
        return self.sessions[name]

    def _expanded(self, text: str) -> str:
        """Text with its ``{expressions}`` replaced by their values.

        Raises
        ------
        UserError
            If one cannot be evaluated.
        """
        try:
            return _Expressions().vformat(text, (), self.shell.user_ns)
        except Exception as error:
            raise UserError(
                f"The text cannot be expanded: {type(error).__name__}: {error}. Write a brace that "
                "is meant as such twice, or leave --expand out."
            ) from error

    # -- IPython --

    def awaited(self, lines: list[str]) -> list[str]:
        """Write ``await`` before the magic's calls, where a cell may await."""
        if not self.shell.autoawait or not any(_CALL in line for line in lines):
            return lines
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            return lines
        calls = _Calls()
        calls.visit(tree)
        for call, is_used in reversed(calls.matches):
            _insert(lines, call.end_lineno, call.end_col_offset, ".answer()" * is_used)
            _insert(lines, call.lineno, call.col_offset, "await ")
        return lines

    def complete(self, line: str) -> tuple[str, list[str]]:
        """What fits at the end of a line that begins with the magic.

        What has been typed of it; options, and agents by their variables, else by their names.
        """
        magic, *tokens = re.split(r"\s+", line.lstrip())
        if magic not in ("%agent", "%%agent") or not tokens:
            return "", []
        typed, before = tokens[-1], tokens[:-1]
        is_named = before and not before[-1].startswith("-")
        if typed.startswith("-") or is_named:
            return typed, [flag for flag in FLAGS if flag.startswith(typed)]
        agents = self.agents()
        names = [agent.name for agent in agents.values() if agent.name.isidentifier()]
        fit = [[name for name in kind if name.startswith(typed)] for kind in (agents, names)]
        return typed, fit[0] or list(dict.fromkeys(fit[1]))


def _matcher(complete: Callable[[str], tuple[str, list[str]]]) -> Any:
    """Make a completion known to IPython; where it fits, nothing else is offered.

    None where IPython is older than 8.6, as on Colab: there the magics work without completion.
    """
    try:
        from IPython.core.completer import SimpleCompletion, context_matcher
    except ImportError:
        return None

    def matcher(context: Any) -> Any:
        typed, fits = complete(context.text_until_cursor)
        return {
            "completions": [SimpleCompletion(text=one, type="agent") for one in fits],
            "matched_fragment": typed,
            "suppress": bool(fits),
        }

    return context_matcher(identifier="agentstream")(matcher)


class _Expressions(Formatter):
    """Formats as `str.format` does, with expressions for names."""

    def parse(self, format_string: Any) -> Any:
        for literal, field, spec, conversion in super().parse(format_string):
            if field == "":
                raise ValueError("nothing stands between the braces")
            # Python 3.14 takes what begins with [ or . for a part of an unnamed value.
            yield literal, field and f"({field})", spec, conversion

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        return eval(field_name, kwargs), field_name


def _is_agent(value: Any) -> bool:
    return hasattr(value, "get_system_prompt") and not isinstance(value, type)


class _Calls(ast.NodeVisitor):
    """Finds the magic's calls that may be awaited, and whether their value is used."""

    def __init__(self) -> None:
        self.matches: list[tuple[Any, bool]] = []

    def visit(self, node: ast.AST) -> None:
        # A function is no place to await in, unless it is async.
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            super().visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if _is_call(node.value):
            self.matches.append((node.value, False))
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_call(node):
            self.matches.append((node, True))
        else:
            self.generic_visit(node)


def _is_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run_line_magic", "run_cell_magic")
        and bool(node.args)
        and getattr(node.args[0], "value", None) == "agent"
    )


def _insert(lines: list[str], line: int, column: int, text: str) -> None:
    """Insert text at a place as `ast` counts it: lines from 1, columns in bytes."""
    whole = lines[line - 1].encode()
    lines[line - 1] = (whole[:column] + text.encode() + whole[column:]).decode()


HELP = """Ask an agent, and watch its answer.

::

    %%agent tutor --session -o result
    What is a monad?
    Two sentences, please.

    %agent tutor What is a monad?

The agent is named by its variable, or by its own name; it may be left out where there is one only.
The text goes to the agent as it stands: braces and dollars are its own.

-o NAME           bind the run's result to a variable
--session [NAME]  go on with the conversation kept under this name, or under the agent's; a variable
                  that holds a session is that session
--new             begin the session anew
--table           keep a table of the run's items under the answer
--timeline        keep a timeline of the run under the answer
--expand          replace {expressions} in the text by their values
--traceback       show an error with its traceback, not as one line

In the line form the options stand before the text, and a session is named as --session=NAME.
"""
