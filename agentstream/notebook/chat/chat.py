"""`chat`: a conversation with an agent, in the cell or from code.

Each message is a run of its own over one session. The front end, the terminal and code begin turns
in the same way, and each turn is watched as `show` watches a run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn

from ..._approvals import approval_id
from ..._run_starter import run_starter
from ..._utils.aio import running_loop_or_none
from ..._utils.keywords import Suggesting
from ..._utils.watchers import FailureLog, log_failure
from ...exceptions import UserError
from ...items import ToolApprovalItem
from ...run_context import TContext
from ...sessions import SQLiteSession
from ..front_end import front_end
from ..run_adapter import RunAdapter
from ..show import check_options
from .terminal import ChatTerminal
from .turn import ChatTurn, PastTurn

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ...agent import Agent
    from ...run.options import TurnOptions
    from ...run.streamed_result import RunResultStreaming
    from ...sessions import Session
    from .widget import ChatView


def chat(
    agent: Agent[TContext],
    *,
    session: Session | None = None,
    **options: Unpack[TurnOptions[TContext]],
) -> Chat[TContext]:
    """Show a conversation with an agent, with a text box below it.

    In a notebook it shows itself in its cell; run the cell again, and the old conversation is
    closed. Code can speak as well, ``await c.send("Hello")``, with or without somebody in the front
    end.

    Parameters
    ----------
    agent : Agent
        The agent to start with; after a handoff, the conversation continues with the new one.
    session : Session, optional
        Stores the conversation: ``SQLiteSession("ada", "chats.db")``; messages that it already has
        are shown. If None, the conversation is kept in memory.
    **options
        For each turn, as in `Runner.run_streamed`: ``context``, ``max_turns``, ``run_config``, ...

    Returns
    -------
    Chat

    Raises
    ------
    UserError
        If `agent` is not an agent.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, chat
    >>> from agentstream.testing import ScriptedModel
    >>> tutor = Agent(name="Tutor", model=ScriptedModel(["Four.", "Because 2 + 2 is."]))
    >>> async def lesson():
    ...     c = chat(tutor)
    ...     await c.send("What is 2 + 2?")
    ...     await c.send("Why?")
    >>> asyncio.run(lesson())
    > What is 2 + 2?
    Tutor
    Four.
    > Why?
    Tutor
    Because 2 + 2 is.
    """
    return Chat(agent, session=session, **options)


class Chat(Suggesting, Generic[TContext]):
    """A conversation with an agent, created by `chat`; parameters are as for `chat`.

    Attributes
    ----------
    agent : Agent
        The agent that answers next.
    session : Session or None
        Stores the conversation for the model; None if the server stores it.
    turns : list of ChatTurn
        The questions in this conversation, with the ``result`` and ``trace`` of each answer.
    past : list of PastTurn
        The turns that the session already had.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, chat
    >>> from agentstream.testing import ScriptedModel
    >>> async def main():
    ...     tutor = chat(Agent(name="Tutor", model=ScriptedModel(["It is 42.", "Because."])))
    ...     await tutor.send("What is 6 * 7?")
    ...     return [turn.result.final_output for turn in tutor.turns]
    >>> asyncio.run(main())  # in a terminal the conversation is text
    > What is 6 * 7?
    Tutor
    It is 42.
    ['It is 42.']
    """

    def __init__(
        self,
        agent: Agent[TContext],
        *,
        session: Session | None = None,
        **options: Unpack[TurnOptions[TContext]],
    ) -> None:
        if not hasattr(agent, "get_system_prompt"):
            raise UserError(
                f"chat() talks with an agent, not {type(agent).__name__}: write "
                "chat(Agent(name='Tutor'))."
            )
        if session is not None and not hasattr(session, "get_items"):
            raise UserError(
                f"chat(session=...) takes a session, not {type(session).__name__}: for example "
                "SQLiteSession('ada', 'chats.db'), which keeps the conversation on the disk."
            )
        check_options("chat", options, "session")
        kept_there = options.get("conversation_id") or options.get("auto_previous_response_id")
        self._has_past = session is not None
        if session is None and not kept_there:
            session = SQLiteSession("chat")
        self.agent: Agent[TContext] = agent
        self.session: Session | None = session
        self.turns: list[ChatTurn] = []
        self.past: list[PastTurn] = []
        self._options: dict[str, Any] = dict(options)
        self._closed = False
        self._view_failures = FailureLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._remembering: asyncio.Task[None] | None = None
        # A turn that the front end begins happens where the conversation was made: in that cell's
        # output, and under its recording.
        self._context = contextvars.copy_context()
        self._view: ChatView | ChatTerminal = self._make_view()
        if (
            self._has_past
            and not isinstance(self._view, ChatTerminal)
            and running_loop_or_none() is not None
        ):
            self._in_background(self._remember())

    def _make_view(self) -> ChatView | ChatTerminal:
        front = front_end()
        # A console has no page to write on; whether it has one is asked by the first `show`.
        if "text" in (front.kind, front.unanswered):
            return ChatTerminal()
        try:
            from .widget import ChatView

            return ChatView(self)
        except Exception:  # noqa: BLE001 - it is logged: the conversation is text, as a run is
            log_failure(chat)
            return ChatTerminal()

    # -- in the program --

    @property
    def state(self) -> Literal["ready", "running", "waiting", "closed"]:
        """Whether it can be asked: it may be answering, or waiting for an approval."""
        if self._closed:
            return "closed"
        if not self.turns or self.turns[-1].is_over:
            return "ready"
        return "waiting" if self.turns[-1].source.waits else "running"

    @property
    def widget(self) -> Any:
        """The widget, for a layout of your own: ``HBox([a.widget, b.widget])``.

        Raises
        ------
        UserError
            Outside of a notebook.
        """
        if isinstance(self._view, ChatTerminal):
            raise UserError("chat(agent).widget is for notebooks; here, await chat.send('...').")
        return self._view

    async def send(self, text: str | list[Any]) -> RunResultStreaming:
        """Send a message and wait for the answer, which the conversation shows.

        Parameters
        ----------
        text : str or list
            The message, or a list of its parts: texts, figures, images, frames and files
            (`pathlib.Path`).

        Returns
        -------
        RunResultStreaming
            The turn's run; one that waits for approvals has ``interruptions``: see `approve`.

        Raises
        ------
        UserError
            If the conversation is closed, or the turn before has not ended.
        AgentsException
            The turn failed; you can continue the conversation.
        """
        await self._remember()
        turn = self._begin(text)
        await self._watched(turn)
        return turn.result

    async def approve(
        self, call: str | ToolApprovalItem | None = None, *, always_approve: bool = False
    ) -> RunResultStreaming:
        """Approve one waiting call, or all of them, and continue the run.

        Parameters
        ----------
        call : str or ToolApprovalItem, optional
            The call's id, or one of the turn's `interruptions`.
        always_approve : bool
            Whether later calls of its tool in this turn are approved, too.

        Returns
        -------
        RunResultStreaming
            The turn's run.

        Raises
        ------
        UserError
            If nothing waits, or different calls wait with the id.
        """
        return await self._decide(call, approve=True, always=always_approve)

    async def reject(
        self,
        call: str | ToolApprovalItem | None = None,
        *,
        always_reject: bool = False,
        rejection_message: str | None = None,
    ) -> RunResultStreaming:
        """Reject one waiting call, or all of them; otherwise as `approve`.

        `always_reject` holds for later calls of its tool in this turn, too; the model gets the
        `rejection_message`.
        """
        return await self._decide(
            call, approve=False, always=always_reject, reason=rejection_message
        )

    def stop(self) -> None:
        """Stop the answer and keep what has arrived; waiting calls are rejected.

        May be called from any thread.
        """
        self._view.on_loop(self._stop)

    def close(self) -> None:
        """End the conversation: stop the answer and accept no more messages."""
        if not self._closed:
            self._stop()
            self._closed = True
            self._view.changed(self.state)

    def __await__(self) -> NoReturn:
        """Say what to write: a conversation is displayed, and its messages are awaited.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError(
            "A conversation is not awaited: write `chat(agent)` as the last line of a cell, or "
            "`c = chat(agent)` and `await c.send('Hello')`."
        )

    def __str__(self) -> str:
        from .snapshot import conversation_text

        return conversation_text([*self.past, *self.turns])

    def __repr__(self) -> str:
        return f"chat({self.agent.name!r}): {len(self.turns)} turn(s), {self.state}"

    def _repr_markdown_(self) -> str:
        from .snapshot import conversation_markdown

        return conversation_markdown([*self.past, *self.turns])

    def _ipython_display_(self) -> None:
        self._view.show()

    def _display_(self) -> Any:
        """What marimo shows of it as a cell's last expression."""
        return str(self) if isinstance(self._view, ChatTerminal) else self._view

    # -- a turn --

    async def _remember(self) -> None:
        """Read what the session holds, once, before the first turn adds to it."""
        if not self._has_past:
            return
        if self._remembering is None:
            self._remembering = asyncio.get_running_loop().create_task(self._read_past())
        await asyncio.shield(self._remembering)

    async def _read_past(self) -> None:
        from .history import past_turns

        assert self.session is not None  # what has a past
        self.past = past_turns(await self.session.get_items(), self.agent.name)
        self._update_view(lambda: self._view.remember(self.past))

    def _begin(self, text: str | list[Any]) -> ChatTurn:
        self._check(text)
        start = run_starter().run_streamed
        result = start(self.agent, text, session=self.session, **self._options)
        question = result.trace.question
        from ..snapshot.text import (
            question_lines,  # Markdown's parser, only where a turn is written
        )

        question_text = text if isinstance(text, str) else "\n".join(question_lines(question))
        turn = ChatTurn(question_text, RunAdapter(result), question=question)
        self.turns.append(turn)
        self._update_view(lambda: self._view.begin(turn))
        turn.source.watch(lambda: self._changed(turn))
        return turn

    def _check(self, text: Any) -> None:
        if not (text.strip() if isinstance(text, str) else text and isinstance(text, list)):
            raise UserError(
                "A message is a text, such as 'Hello', or a list such as "
                f"['What is this?', figure], not {text!r}."
            )
        if self.state == "closed":
            raise UserError("This conversation is closed: run its cell again, or make a new one.")
        if self.state == "running":
            raise UserError(
                "The turn before is still being answered: await it, or stop it with chat.stop()."
            )
        if self.state == "waiting":
            raise UserError(
                "A tool call waits for a decision: press Approve or Reject in the conversation, or "
                "write `await chat.approve()` or `await chat.reject()`."
            )

    async def _watched(self, turn: ChatTurn) -> None:
        """Wait for the turn's end, over the pauses in which a person can decide."""
        __tracebackhide__ = True  # IPython leaves such frames out
        try:
            async for _ in turn.source.over_pauses(self._view.wait_for_frontend):
                pass
        except asyncio.CancelledError:
            await self._give_up(turn)
            raise self._view.interruption() from None
        except Exception as error:
            turn.error = error
            raise
        finally:
            turn.source.decisions.set()  # nobody listens any more, or finds the turn over
            self._changed(turn)

    def _changed(self, turn: ChatTurn) -> None:
        """The turn has gone on."""
        source = turn.source
        if turn.is_over and source.is_complete:
            return
        turn.is_over = source.is_complete and not source.waits
        if not turn.is_over:
            self._update_view(lambda: self._view.update(turn, at_once=source.waits))
        else:
            if turn.trace.status == "completed":
                self.agent = source.result.last_agent
            self._update_view(lambda: self._view.end(turn))

    def _update_view(self, update: Callable[[], None]) -> None:
        """Have the view show something; what it raises is logged once, and fails no turn."""
        try:
            update()
        except Exception:  # noqa: BLE001 - it is logged
            self._view_failures.note(type(self._view))
        self._view.changed(self.state)

    # -- decisions --

    async def _decide(
        self, call: str | ToolApprovalItem | None, *, approve: bool, **how: Any
    ) -> RunResultStreaming:
        if self.state != "waiting":
            raise UserError("No call waits for a decision.")
        turn = self.turns[-1]
        if turn.source.decide(_chosen(turn, call), approve, **how):
            turn.source.decisions.set()
        await self._watched(turn)
        return turn.result

    def _stop(self) -> None:
        if self.state == "running":
            self.turns[-1].source.cancel()
        elif self.state == "waiting":
            self._refuse_all(self.turns[-1])
            self._wake()

    def _refuse_all(self, turn: ChatTurn) -> None:
        """Answer the calls that wait, and stop: the session must not keep a call unanswered."""
        turn.source.decide(turn.source.undecided(), approve=False)
        turn.result.cancel("after_turn")

    async def _give_up(self, turn: ChatTurn) -> None:
        """Whoever waited for the turn was cancelled; in a notebook, the cell was interrupted."""
        if turn.source.waits:
            self._refuse_all(turn)
        await turn.source.closed()

    def _wake(self) -> None:
        turn = self.turns[-1]
        if not turn.source.decisions.set():
            self._in_background(self._watched(turn))

    # -- what is done in the front end --

    def handle_message(self, kind: str, text: str | None, reason: str | None = None) -> None:
        """Handle a message of the front end, on the event loop of the conversation.

        Parameters
        ----------
        kind : {"say", "stop", "approve", "always", "reject"}
            What was done.
        text : str or None
            The message, or the `approval_id` of the call.
        reason : str or None
            What the model gets for a call that is rejected.
        """
        if kind == "say":
            self._in_background(self._say(text or ""))
        elif kind == "stop":
            self._stop()
        elif self.state == "waiting" and self.turns[-1].source.handle_click(kind, text, reason):
            self._wake()

    async def _say(self, text: str) -> None:
        try:
            await self._remember()
            turn = self._begin(text)
        except Exception as error:  # noqa: BLE001 - it is shown in the front end, beside the message
            self._view.refuse(text, str(error))
            return
        await self._watched(turn)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what no code waits for; errors of a run are shown in its turn."""

        async def done() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - it is shown
                if not (self.turns and self.turns[-1].error is error):
                    self._view.refuse("", str(error))

        loop, context = asyncio.get_running_loop(), self._context.copy()
        task = loop.create_task(done(), name="chat", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _chosen(turn: ChatTurn, call: str | ToolApprovalItem | None) -> list[ToolApprovalItem]:
    """The calls that `call` means: those that nobody has decided on if none is named."""
    if call is None:
        return turn.source.undecided()
    waiting = turn.source.undecided()
    if isinstance(call, ToolApprovalItem):
        matches = [item for item in waiting if approval_id(item) == approval_id(call)]
    else:
        matches = [item for item in waiting if item.call_id == call]
    if len(matches) == 1:
        return matches
    if matches:
        raise UserError(
            f"{len(matches)} calls wait with the id {call!r}; give the one that is meant, out of "
            "the turn's result.interruptions."
        )
    ids = [item.call_id for item in waiting]
    call = call.call_id if isinstance(call, ToolApprovalItem) else call
    raise UserError(f"No call {call!r} waits for a decision, but {ids}.")
