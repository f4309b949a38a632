"""Chat chunks become the events of a response, and nothing that arrived is lost."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.exceptions import AgentsException, ModelBehaviorError, ModelStreamError, UserError
from agentstream.models.chat_completions.stream import ChatFold
from tests.models.chat_completions.chunks import USAGE, call, chunk, folded, kinds, template

TEXT = ["created", "output_item.added", "content_part.added", "output_text.delta"]
ENDED = ["content_part.done", "output_item.done", "completed"]


def last(events: list[Any]) -> Any:
    return events[-1].response


def output(events: list[Any]) -> list[tuple[str, Any]]:
    """Kind and content of each item of the final response."""
    found: list[tuple[str, Any]] = []
    for item in last(events).output:
        if item.type == "message":
            found += [(p.type, getattr(p, "text", None) or p.refusal) for p in item.content]
        elif item.type == "reasoning":
            parts = [*(item.content or []), *item.summary]
            found.append(("reasoning", "|".join(part.text for part in parts)))
        else:
            found.append((item.name, item.arguments))
    return found


def test_text_becomes_a_message_with_one_part() -> None:
    chunks = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"})]
    events = folded([*chunks, chunk({"content": "lo"}), chunk({}, "stop")])
    assert kinds(events) == [*TEXT, "output_text.delta", *ENDED]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert output(events) == [("output_text", "Hello")]
    assert last(events).output[0].provider_data == {"model": "m", "response_id": "chatcmpl-1"}


def test_a_call_after_text_has_the_next_output_index() -> None:
    chunks = [chunk({"content": "Hm"}), chunk(call(0, "a", "f", "")), chunk(call(0, args="{}"))]
    events = folded([*chunks, chunk({}, "tool_calls")])
    assert kinds(events)[4:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "content_part.done",
        "output_item.done",
        "output_item.done",
        "completed",
    ]
    assert output(events) == [("output_text", "Hm"), ("f", "{}")]
    assert [event.output_index for event in events if kinds([event]) == ["output_item.done"]] == [
        1,
        0,
    ]


def test_a_call_without_an_id_gets_one() -> None:
    events = folded([chunk(call(0, None, "f", "{}")), chunk({}, "tool_calls")])
    assert {event.item.call_id for event in events if hasattr(event, "item")} == {"new_1"}


def test_buffered_calls_come_whole_and_in_the_order_of_their_indexes() -> None:
    chunks = [
        chunk(call(1, "b", "g", "{")),
        chunk(call(0, "a", "f", "[]")),
        chunk(call(1, args="}")),
    ]
    events = folded([*chunks, chunk({"content": "x"})], buffer_tool_calls=True)
    assert kinds(events)[3:8] == [
        "output_text.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
    ]
    assert [e.delta for e in events if e.type.endswith("arguments.delta")] == ["[]", "{}"]
    assert output(events) == [("output_text", "x"), ("f", "[]"), ("g", "{}")]


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = folded([chunk({"refusal": ""}), chunk({"refusal": "I "}), chunk({"refusal": "won't"})])
    assert output(events) == [("refusal", "I won't")]
    assert [event.delta for event in events if event.type == "response.refusal.delta"] == [
        "I ",
        "won't",
    ]


def test_text_beside_a_refusal_is_kept() -> None:
    chunks = [{"content": "a"}, {"refusal": "no"}, {"content": "b"}]
    assert output(folded(map(chunk, chunks))) == [("output_text", "ab"), ("refusal", "no")]


THOUGHTS: dict[str, list[dict[str, Any]]] = {
    "reasoning_content (DeepSeek)": [{"reasoning_content": "Hm, "}, {"reasoning_content": "so"}],
    "reasoning (Groq, OpenRouter)": [{"reasoning": "Hm, "}, {"reasoning": "so"}],
    "thinking parts (Mistral)": [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm, "}]}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]},
    ],
    "reasoning_details alone (Snowflake)": [
        {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Hm, "}]},
        {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "so"}]},
    ],
    "thinking_blocks (LiteLLM)": [
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm, ", "signature": None}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "so", "signature": "sig"}]},
    ],
}


@pytest.mark.parametrize("dialect", THOUGHTS)
def test_reasoning_comes_before_the_answer_as(dialect: str) -> None:
    answer = [{"content": [{"type": "text", "text": "Ye"}]}, {"content": "s"}]
    events = folded(map(chunk, [*THOUGHTS[dialect], *answer]))
    (kind, thought), told = output(events)
    assert (kind, thought.replace("|", "")) == ("reasoning", "Hm, so")
    assert told == ("output_text", "Yes")
    assert [item.type for item in last(events).output] == ["reasoning", "message"]


def test_reasoning_streams_as_it_arrives() -> None:
    for dialect in list(THOUGHTS)[:4]:
        events = folded(map(chunk, THOUGHTS[dialect]))
        deltas = [
            event.delta
            for event in events
            if event.type.startswith("response.reasoning") and event.type.endswith(".delta")
        ]
        assert deltas == ["Hm, ", "so"], dialect


def test_reasoning_that_goes_on_after_text_opens_another_summary_part() -> None:
    chunks = [{"reasoning_content": "a"}, {"content": "x"}, {"reasoning_content": "b"}]
    events = folded(map(chunk, chunks))
    assert output(events) == [("reasoning", "a|b"), ("output_text", "x")]


def test_items_never_share_an_output_index() -> None:
    events = folded(
        [chunk({"content": "x"}), chunk({"reasoning": "late"}), chunk(call(0, "a", "f"))]
    )
    added = [event for event in events if event.type == "response.output_item.added"]
    assert [event.output_index for event in added] == [0, 1, 2]
    assert [event.item.type for event in added] == [item.type for item in last(events).output]


def test_a_thought_signature_stays_with_its_call() -> None:
    delta = call(0, "a", "f", "{}")
    delta["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "sig"}}
    (item,) = last(folded([chunk(delta)])).output
    assert item.provider_data["thought_signature"] == "sig"


SPENT: dict[str, tuple[list[dict[str, Any]], tuple[int, int, int] | None]] = {
    "in a chunk of its own": ([chunk({}, "stop"), chunk(choices=[], usage=USAGE)], (3, 4, 7)),
    "in a chunk with choices None": ([chunk(choices=None, usage=USAGE)], (3, 4, 7)),
    "with every chunk, counting up": (
        [chunk(usage={**USAGE, "total_tokens": 5}), chunk(usage=USAGE), chunk(usage=None)],
        (3, 4, 7),
    ),
    "never": ([chunk({}, "stop")], None),
    "with null details": (
        [chunk(usage={**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None})],
        (3, 4, 7),
    ),
    "with null counts": ([chunk(usage=dict.fromkeys(USAGE))], (0, 0, 0)),
    "without a total": ([chunk(usage={"prompt_tokens": 3, "completion_tokens": 4})], (3, 4, 7)),
    "in x_groq": ([chunk({}, "stop", x_groq={"usage": USAGE})], (3, 4, 7)),
    "in the choice": (
        [chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}])],
        (3, 4, 7),
    ),
}


@pytest.mark.parametrize("where", SPENT)
def test_usage_is_read(where: str) -> None:
    chunks, expected = SPENT[where]
    usage = last(folded([chunk({"content": "x"}), *chunks])).usage
    counts = usage and (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert counts == expected


def test_usage_details_are_kept() -> None:
    details = {
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    usage = last(folded([chunk(usage=USAGE | details)])).usage
    assert usage.input_tokens_details.cached_tokens == 2
    assert usage.output_tokens_details.reasoning_tokens == 1


ODD: dict[str, dict[str, Any]] = {
    "no index": {"choices": [{"delta": {"content": "x"}}]},
    "index None": {"choices": [{"index": None, "delta": {"content": "x"}}]},
    "message instead of delta": {"choices": [{"index": 0, "message": {"content": "x"}}]},
    "no id, model or created": {"choices": [{"index": 0, "delta": {"content": "x"}}]},
    "nulls wherever they can be": chunk(
        {"content": "x", "role": None, "refusal": None, "tool_calls": None, "function_call": None,
         "reasoning": None, "reasoning_content": None, "annotations": None, "audio": None,
         "thinking_blocks": None, "reasoning_details": None},
        error=None, usage=None, id=None, x_groq=None,
    ),
    "log probabilities of another shape": chunk(
        choices=[{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [{"token": 1}]}}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("oddity", ODD)
def test_text_is_kept_with(oddity: str) -> None:
    assert output(folded([ODD[oddity], chunk({}, "stop")])) == [("output_text", "x")]


def test_chunks_without_content_are_no_message() -> None:
    chunks = [chunk({"role": "assistant"}), chunk({"content": ""}), chunk(choices=[]), None]
    chunks += [chunk(choices=[{"index": 0, "delta": None}]), chunk({"tool_calls": []}, "stop")]
    events = folded(chunks)
    assert kinds(events) == ["created", "completed"]
    assert last(events).output == []


def test_the_old_function_call_is_read() -> None:
    deltas = [
        {"function_call": {"name": "f", "arguments": "{"}},
        {"function_call": {"arguments": "}"}},
    ]
    assert output(folded(map(chunk, deltas))) == [("f", "{}")]


def test_citations_are_kept_wherever_they_come() -> None:
    def citing(url: str, **more: Any) -> dict[str, Any]:
        return {"annotations": [{"type": "url_citation", "url_citation": {"url": url, **more}}]}

    deltas = [citing("a"), {"content": "x"}, citing("b", start_index=0, end_index=1, title="B")]
    (message,) = last(folded(map(chunk, deltas))).output
    found = [(c.url, c.title, c.end_index) for c in message.content[0].annotations]
    assert found == [("a", "", 0), ("b", "B", 1)]


def test_log_probabilities_are_kept() -> None:
    entry = {"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": None}
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [entry]}}
    events = folded([chunk(choices=[choice])])
    assert events[3].logprobs[0].logprob == -0.5
    assert last(events).output[0].content[0].logprobs[0].token == "x"


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_cut_short_says_why(finish: str, reason: str) -> None:
    events = folded([chunk({"content": "x"}), chunk({}, finish)])
    assert events[-1].type == "response.completed"
    assert last(events).incomplete_details.reason == reason


def test_tokens_that_run_out_before_the_answer_are_an_error() -> None:
    with pytest.raises(ModelBehaviorError, match="max_tokens"):
        folded([chunk({"reasoning": "Hm"}), chunk({}, "length")])


def test_an_answer_that_was_filtered_whole_is_a_refusal() -> None:
    events = folded([chunk({}, "content_filter")])
    assert output(events) == [("refusal", "Response withheld by the provider's content filter.")]


def test_a_stream_that_breaks_off_ends_incomplete_with_all_that_came() -> None:
    chunks = [chunk({"content": "half"}), chunk(call(0, "a", "f", '{"x"'))]
    events = folded(chunks, complete=False)
    assert events[-1].type == "response.incomplete"
    assert last(events).status == "incomplete"
    assert "without a finish_reason" in last(events).error.message
    assert output(events) == [("output_text", "half"), ("f", '{"x"')]


def test_a_finish_reason_without_done_is_an_end() -> None:
    assert folded([chunk({"content": "x"}, "stop")], complete=False)[-1].type.endswith("completed")


def test_done_without_a_finish_reason_is_an_end() -> None:
    assert folded([chunk({"content": "x"})])[-1].type == "response.completed"


def test_a_stream_without_a_chunk_is_an_error() -> None:
    with pytest.raises(ModelBehaviorError, match="without sending a single chunk"):
        folded([])


@pytest.mark.parametrize(
    "chunks",
    [
        [{"id": "c", "choices": []}],
        [{"id": "c", "choices": None, "usage": {"total_tokens": 3}}],
        [{"id": "c"}, {"choices": [{}]}, {"choices": [None, 7]}, {"choices": {}}],
        [{"id": "c", "choices": [], "prompt_filter_results": []}, {"choices": [{"index": 1}]}],
    ],
)
def test_a_stream_without_a_choice_is_an_error(chunks: list[Any]) -> None:
    with pytest.raises(ModelStreamError, match="without a choice"):
        folded(chunks)
    assert folded([*chunks, chunk({"content": "x"}, "stop")])[-1].type == "response.completed"
    assert folded(chunks, complete=False)[-1].type == "response.incomplete"


def test_an_answer_that_is_empty_is_one() -> None:
    assert folded([chunk({}, "stop")])[-1].type == "response.completed"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"message": "Tool call failed", "code": "tool_use_failed"}, "Tool call failed"),
        ("out of memory", "out of memory"),
        ({"code": 502}, 'The server reports an error: {"code": 502}'),
    ],
)
def test_an_error_within_the_stream_is_raised_with_its_text(error: Any, message: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        folded([chunk({"content": "x"}), {"error": error}])
    assert caught.value.message == message
    assert caught.value.body == error


def test_an_error_within_a_choice_is_raised() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "boom"}}
    with pytest.raises(openai.APIError, match="boom"):
        folded([chunk(choices=[choice])])


def test_what_is_no_chunk_is_named() -> None:
    with pytest.raises(ModelBehaviorError, match="hello"):
        folded(["hello"])


def test_audio_is_refused() -> None:
    with pytest.raises(AgentsException, match="Audio is not currently supported"):
        folded([chunk({"audio": {"data": ""}})])


def test_other_choices_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    other = {"index": 1, "delta": {"content": "y"}}
    chunks = [chunk({"content": "x"}), chunk(choices=[other]), chunk(choices=[other])]
    assert output(folded(chunks)) == [("output_text", "x")]
    assert caplog.text.count("only choice index 0") == 1


def test_other_choices_are_an_error_when_strict() -> None:
    with pytest.raises(UserError, match="only choice index 0"):
        folded([chunk(choices=[{"index": 1, "delta": {"content": "y"}}])], strict=True)


def test_a_custom_tool_call_is_an_error_when_strict() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}
    with pytest.raises(UserError, match="Custom tool calls"):
        folded([chunk({"tool_calls": [custom]})], strict=True)


@pytest.mark.slow
def test_long_arguments_in_tiny_pieces_take_linear_time() -> None:
    def seconds(size: int) -> float:
        text = json.dumps({"text": "x" * size})
        chunks = [chunk(call(0, "a", "f", ""))]
        chunks += [chunk(call(0, None, "f", text[i : i + 5])) for i in range(0, len(text), 5)]
        started = time.process_time()
        assert output(folded(chunks)) == [("f", text)]
        return time.process_time() - started

    small = min(seconds(10_000) for _ in range(3))
    assert seconds(200_000) < 20 * small * 3  # quadratic: 400 times


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
DELTA = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "content", "role", "refusal", "function_call", "reasoning", "reasoning_content",
            "thinking_blocks", "reasoning_details", "annotations",
        ),
        JSON,
    )
    | {
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": JSON, "id": JSON, "extra_content": JSON,
                    "function": JSON | st.fixed_dictionaries({"name": JSON, "arguments": JSON}),
                },
            ),
            max_size=3,
        )
    },
)  # fmt: skip
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA | JSON}, optional={"index": JSON, "finish_reason": JSON, "logprobs": JSON}
)


CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2) | JSON},
    optional={
        "id": JSON,
        "usage": JSON | st.dictionaries(st.sampled_from(list(USAGE)), JSON),
    },
)


@pytest.mark.slow
@given(st.lists(CHUNK, min_size=1, max_size=4))
def test_no_chunk_whatever_is_in_it_breaks_the_fold(chunks: list[dict[str, Any]]) -> None:
    events = folded([*chunks, chunk({})])  # without any choice it would be an error
    assert events[-1].type == "response.completed"
    added = [event.output_index for event in events if event.type.endswith("item.added")]
    done = [event.output_index for event in events if event.type.endswith("item.done")]
    assert added == list(range(len(added))) == sorted(done)
    assert len(last(events).output) == len(added)
    told: dict[int, str] = {}
    for event in events:
        if event.type == "response.output_text.delta":
            told[event.output_index] = told.get(event.output_index, "") + event.delta
    for index, item in enumerate(last(events).output):
        if item.type == "message" and index in told:
            assert told[index] in [getattr(part, "text", None) for part in item.content]


WORD = st.builds(lambda text: chunk({"content": text}), st.text(max_size=3))
THOUGHT = st.builds(lambda text: chunk({"reasoning_content": text}), st.text(max_size=3))


@pytest.mark.slow
@given(st.lists(WORD | THOUGHT | CHUNK, min_size=1, max_size=8))
def test_the_short_path_of_a_further_piece_of_text_comes_to_the_same(
    chunks: list[dict[str, Any]],
) -> None:
    chunks = [*chunks, chunk({}, "stop")]  # without any choice, the answer is an error
    assert folded(chunks, short=True) == folded(chunks)


def test_a_further_piece_of_text_takes_the_short_path_and_nothing_else_does() -> None:
    fold = ChatFold(template())
    begin = chunk({"role": "assistant", "content": "Oh, "})
    assert fold.feed_text_fast(begin) is None
    list(fold.feed(begin))
    assert fold.feed_text_fast(chunk({"content": "Hel", "refusal": None})) is not None
    error = chunk({"content": "lo"}, error={"message": "overloaded"})
    sound = chunk({"content": "lo", "audio": {"id": "a"}})
    spent = chunk({"content": "lo"}, usage=USAGE)
    for other in (chunk({}, "stop"), spent, sound, error, None, []):
        assert fold.feed_text_fast(other) is None


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_last_chunk_that_repeats_the_whole_message_adds_nothing(field: str, finish: str) -> None:
    pieces = [chunk({field: "Hm"}), chunk({"content": "Hel"}), chunk({"content": "lo"})]
    whole: dict[str, Any] = {"role": "assistant", "content": "Hello", field: "Hm"}
    if finish == "tool_calls":
        pieces.append(chunk(call(0, "a", "f", "{}")))
        whole |= call(0, "a", "f", "{}")
    end = chunk({}, finish)
    expected = output(folded([*pieces, end]))
    end["choices"][0]["message"] = whole
    assert output(folded([*pieces, end])) == expected


def test_a_whole_message_after_the_reasoning_alone_adds_the_text() -> None:
    end = chunk({}, "stop")
    end["choices"][0]["message"] = {"content": "Hello", "reasoning": "Hm"}
    events = folded([chunk({"reasoning": "Hm"}), end])
    assert output(events) == [("reasoning", "Hm"), ("output_text", "Hello")]


def test_reasoning_under_two_names_at_once_is_told_once() -> None:
    thoughts = [chunk({"reasoning": text, "reasoning_content": text}) for text in ("Hm", " so")]
    events = folded([*thoughts, chunk({"content": "Hello"}), chunk({}, "stop")])
    assert output(events) == [("reasoning", "Hm so"), ("output_text", "Hello")]


@pytest.mark.parametrize(
    "fields",
    [
        ("reasoning", "reasoning_content", "reasoning"),
        ("reasoning_content", "reasoning", "reasoning"),
    ],
)
def test_reasoning_that_changes_its_field_midway_is_one_text(fields: tuple[str, ...]) -> None:
    thoughts = [chunk({name: text}) for name, text in zip(fields, ("Hm", ", so", "."), strict=True)]
    events = folded([*thoughts, chunk({"content": "Hello"}), chunk({}, "stop")])
    assert output(events) == [("reasoning", "Hm, so."), ("output_text", "Hello")]
    item = last(events).output[0]
    assert bool(item.summary) != bool(item.content)


@pytest.mark.parametrize(
    ("first", "second"),
    [("reasoning", "reasoning_content"), ("reasoning_content", "reasoning")],
)
def test_a_whole_message_repeats_the_reasoning_under_the_other_name(
    first: str, second: str
) -> None:
    end = chunk({}, "stop")
    end["choices"][0]["message"] = {"content": "Hello", second: "Hm"}
    events = folded([chunk({first: "Hm"}), chunk({"content": "Hello"}), end])
    assert output(events) == [("reasoning", "Hm"), ("output_text", "Hello")]
