"""Where agentstream is another than the SDK on purpose, and why. Each has its test."""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "errors carry what arrived": (
        "Some errors of the SDK have no run_data, and that of the others, like new_items of a "
        "stream that failed, lacks the items and responses of the turn that failed. Here every "
        "error of a run carries all of them. `harness.what_arrived_is_kept` compares: no less."
    ),
    "usage of a Chat stream is asked for": (
        "The SDK sends stream_options.include_usage only when ModelSettings.include_usage is set, "
        "and counts zero tokens otherwise. Here it is sent unless it is set to False. The other "
        "scenarios of Chat Completions set it, so that both count."
    ),
    "break stops the run": (
        "In the SDK the run goes on in the background after `break` out of stream_events(): tools "
        "start, tokens are paid. Here leaving the loop closes the stream and starts no further "
        "tool, as a user who leaves expects."
    ),
    "run_sync inside a running loop": (
        "The SDK raises. A notebook cell always runs inside a loop, so here run_sync works there, "
        "on that same loop."
    ),
    "a finished state stays finished": (
        "Run again, the state of a finished run makes the SDK ask the model once more, with "
        "nothing new to say. Here it gives its final output."
    ),
    "what a filter hides is still told": (
        "What a handoff's input filter takes out of new_items, the SDK also takes out of the "
        "result, and tells no handoff_occured. Here the filter decides what the next agent sees; "
        "the reader, and new_items, keep what happened."
    ),
    "a cut Chat answer says why": (
        "Where finish_reason is length or content_filter, the response has incomplete_details "
        "here, as one of the Responses API; the SDK leaves the reason out."
    ),
    "two tools of one name are an error": (
        "The SDK warns and lets the last one win; which tool a model calls is then an accident. "
        "Here it is a UserError, unless RunConfig(tool_name_collision_policy='warn')."
    ),
    "misuse is a UserError": (
        "Where the SDK passes on what pydantic, typing or an attribute of None raises, here the "
        "error is of the tree and says what to write."
    ),
    "a truncated Chat stream is an error": (
        "When a Chat Completions stream ends without finish_reason, the SDK takes what came for "
        "the whole answer. Here it is an error, as it is for the Responses API: ModelStreamError, "
        "which is a ModelBehaviorError."
    ),
    "an empty structured reply ends": (
        "The SDK asks again, up to max_turns, when a structured output was wanted and the model "
        "answered nothing. Here that is a ModelBehaviorError at once."
    ),
    "what a generator yields is its output": (
        "The SDK tells the model '<generator object ...>'. Here the pieces are the output, and an "
        "endless generator is stopped."
    ),
    "a frame is told by its head and summary, a figure is seen": (
        "The SDK tells the model str(output): of a frame what pandas prints, of a figure "
        "'Figure(640x480)'. Here a frame is told by its shape, types, head and summary, and a "
        "figure, an image or a chart is an image part beside a text that says what it is."
    ),
    "a huge output is cut for the model": (
        "The SDK sends it whole, and the server refuses it. Here the middle of what is longer than "
        "a million characters is left out, which the text says; RunConfig's tool_execution sets "
        "or lifts the bound."
    ),
    "a result without a text has failed": (
        "Where str() of a tool's result raises, the SDK ends the run. Here the model is told that "
        "the tool has failed, like after every other failure of it. So it is with sys.exit in a "
        "tool, which with the SDK ends the event loop, in a notebook the kernel."
    ),
    "a safety check that nobody acknowledged stops the run": (
        "Where a computer's call comes with a safety check and ComputerTool has no "
        "on_safety_check, the SDK logs a warning and does what the model asks. The check is there "
        "because the page may have given the model its orders: here nothing is done, and the "
        "UserError says how to acknowledge it."
    ),
    "a run's own computer leaves the tool as it was": (
        "Where ComputerTool(computer=) makes a computer for each run, the SDK puts it into the "
        "tool until the run is over: of two runs at once, both find that of the last there. Here "
        "the run has a copy of the tool with its computer in it, and the tool stays as it is."
    ),
    "the task of a run raises every error": (
        "Awaited, the SDK's run_loop_task raises most errors of a run, and ends quietly when its "
        "turns are over. Here it raises whatever the run has failed with."
    ),
    "what was said before a withheld output stays": (
        "Where an output guardrail refuses a tool's output, the SDK also takes the message and the "
        "reasoning of the same answer from items and session. Here they stay: the reader has seen "
        "them, and they were written before the tool ran."
    ),
    "strict: false is left out of Chat requests": (
        "Many servers of Chat Completions refuse the field, and false is what its absence means."
    ),
    "text parts of a tool's output are one text over Chat": (
        "The SDK sends them as a list of parts, which many servers refuse for the role tool. Here "
        "they are joined by line breaks."
    ),
    "an error of an MCP tool has failed": (
        "Where an MCP server answers isError, the SDK tells the model its content as a result. "
        "Here the call has failed, with that text, in the view, the items and the tables."
    ),
    "a missing total of tokens is their sum": (
        "Where a server leaves total_tokens out of the usage, the SDK counts 0 in all. Here it is "
        "the sum of the input's and the output's (tests/models/responses/test_model.py)."
    ),
    "reasoning under two names is told once": (
        "Where a server of Chat Completions sends one text as reasoning_content and as reasoning, "
        "the SDK tells it as a summary and as content. It is one text, and shown twice it is wrong."
    ),
}
