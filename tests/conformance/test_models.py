"""Models: which is asked, by which API, and how the provider's answers are read."""

import openai

from agentstream.testing import call, http_error, raw, turn

from .harness import BOTH, CHAT, conforms, differs, failure, plain, ran, run, streamed


@conforms
async def test_a_model_name_is_asked_of_the_default_client(sdk, server):
    sdk.set_default_openai_client(server.client(), use_for_tracing=False)
    server.play(["Hello."])
    return await run(sdk, sdk.Agent(name="A", model="gpt-named"), "Hi")


@conforms
async def test_the_default_api_may_be_chat_completions(sdk, server):
    sdk.set_default_openai_client(server.client(), use_for_tracing=False)
    sdk.set_default_openai_api("chat_completions")
    try:
        server.play(["Hello."])
        return await run(sdk, sdk.Agent(name="A", model="gpt-named"), "Hi")
    finally:
        sdk.set_default_openai_api("responses")


@conforms
async def test_the_default_model_has_its_name_and_settings(sdk, server):
    sdk.set_default_openai_client(server.client(), use_for_tracing=False)
    server.play(["Hello."])
    return await run(sdk, sdk.Agent(name="A"), "Hi")


@conforms
async def test_a_provider_of_the_run_finds_models_by_name(sdk, server):
    asked = []
    model = server.model(sdk)

    class Provider(sdk.ModelProvider):
        def get_model(self, model_name):
            asked.append(model_name)
            return model

    config = sdk.RunConfig(model_provider=Provider())
    agent = sdk.Agent(name="A", model="anything")
    return [await ran(sdk, server, ["Hello."], agent, "Hi", run_config=config), asked]


@conforms
async def test_an_openai_provider_serves_both_apis(sdk, server):
    shown = []
    for use_responses in (True, False):
        provider = sdk.OpenAIProvider(openai_client=server.client(), use_responses=use_responses)
        server.play(["Hello."])
        config = sdk.RunConfig(model_provider=provider)
        shown.append(await run(sdk, sdk.Agent(name="A", model="m"), "Hi", run_config=config))
    return shown


@conforms
async def test_a_multi_provider_strips_its_prefix(sdk, server):
    provider = sdk.MultiProvider(openai_client=server.client())
    server.play(["Hello."])
    config = sdk.RunConfig(model_provider=provider)
    return await run(sdk, sdk.Agent(name="A", model="openai/gpt-named"), "Hi", run_config=config)


@conforms
async def test_a_multi_provider_refuses_an_unknown_prefix(sdk, server):
    provider = sdk.MultiProvider(openai_client=server.client())
    config = sdk.RunConfig(model_provider=provider)
    return await run(sdk, sdk.Agent(name="A", model="nobody/m"), "Hi", run_config=config)


@conforms
async def test_a_model_of_ones_own_answers(sdk, server):
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    asked = []

    class Mine(sdk.Model):
        async def get_response(self, system_instructions, input, *rest, **named):
            asked.append([system_instructions, input, sorted(named)])
            text = ResponseOutputText(text="Mine.", type="output_text", annotations=[])
            message = ResponseOutputMessage(
                id="m", role="assistant", status="completed", type="message", content=[text]
            )
            return sdk.ModelResponse(output=[message], usage=sdk.Usage(), response_id=None)

        def stream_response(self, *args, **named):
            raise NotImplementedError

    agent = sdk.Agent(name="A", model=Mine(), instructions="Be.")
    return [await run(sdk, agent, "Hi"), asked]


@conforms(apis=(CHAT,))
async def test_images_and_files_are_sent_to_a_chat_provider(sdk, server):
    asked = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "low"},
            ],
        },
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "Hm."},
        {"role": "user", "content": "Well?"},
    ]
    return await ran(sdk, server, ["A cat."], server.agent(sdk), asked)


@conforms(apis=(CHAT,))
async def test_history_with_tools_is_sent_to_a_chat_provider(sdk, server):
    asked = [
        {"role": "user", "content": "Weather?"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "look", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            # One text: parts are sent otherwise on purpose (see differences.py).
            "output": "cloudy",
        },
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
        },
        {"role": "user", "content": "Thanks"},
    ]
    return await ran(sdk, server, ["You are welcome."], server.agent(sdk), asked)


@conforms(apis=(CHAT,))
async def test_hosted_tools_are_refused_by_chat_completions(sdk, server):
    agent = server.agent(sdk, tools=[sdk.WebSearchTool()])
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@differs(
    "usage of a Chat stream is asked for",
    api=CHAT,
    theirs=[[{"include_usage": True}, 12], [{"include_usage": False}, 0], [None, 0]],
    ours=[
        [{"include_usage": True}, 12],
        [{"include_usage": False}, 0],
        [{"include_usage": True}, 12],
    ],
)
async def test_usage_of_a_chat_stream_is_asked_for(sdk, server):
    shown = []
    for wanted in (True, False, None):
        settings = sdk.ModelSettings(include_usage=wanted)
        agent = sdk.Agent(name="A", model=server.model(sdk), model_settings=settings)
        server.play(["Hello."])
        tokens = (await streamed(sdk, agent, "Hi"))["usage"]["total_tokens"]
        shown.append([server.requests[-1].body.get("stream_options"), tokens])
    return shown


def chunks(*deltas, finish="stop", usage=None):
    import json

    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    lines = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    lines.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        lines.append({**head, "choices": [], "usage": usage})
    return raw("".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n")


@conforms(apis=(CHAT,))
async def test_a_chat_provider_may_stream_two_calls_in_pieces(sdk, server):
    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    def piece(index, arguments, **more):
        function = {"arguments": arguments, **more.pop("function", {})}
        return {"tool_calls": [{"index": index, "function": function, **more}]}

    first = chunks(
        {"role": "assistant", "content": None},
        piece(0, "", id="c1", type="function", function={"name": "look"}),
        piece(0, '{"place": '),
        piece(0, '"sea"}'),
        piece(1, "", id="c2", type="function", function={"name": "look"}),
        piece(1, '{"place": "sky"}'),
        finish="tool_calls",
        usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    )
    server.play([first, chunks({"role": "assistant", "content": "Seen."})])
    return await streamed(sdk, server.agent(sdk, tools=[look]), "Look")


@conforms(apis=(CHAT,))
async def test_a_chat_provider_may_send_text_and_a_call_together(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    tool_call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
    }
    first = chunks(
        {"role": "assistant", "content": "Let me"},
        {"content": " look."},
        {"tool_calls": [tool_call]},
        finish="tool_calls",
    )
    server.play([first, chunks({"content": "Seen."})])
    return await streamed(sdk, server.agent(sdk, tools=[look]), "Look")


@conforms(apis=BOTH)
async def test_errors_of_the_api_are_those_of_the_client(sdk, server):
    shown = []
    for status in (400, 401, 403, 404, 422, 429, 500, 503):
        server.play([http_error(status), http_error(status)])
        try:
            await sdk.Runner.run(server.agent(sdk), "Hi")
        except openai.APIStatusError as error:
            shown.append([type(error).__name__, error.status_code, error.message])
        one = await streamed(sdk, server.agent(sdk), "Hi")
        shown.append([one["error"]["type"], one["is_complete"]])
    return shown


@conforms
async def test_a_request_is_tried_again_by_the_policy_of_the_settings(sdk, server):
    retry = sdk.ModelRetrySettings(
        max_retries=2,
        backoff={"initial_delay": 0.01, "max_delay": 0.02, "jitter": False},
        policy=sdk.retry_policies.http_status([503]),
    )
    agent = server.agent(sdk, model_settings=sdk.ModelSettings(retry=retry))
    server.play([http_error(503), http_error(503), "Hello."])
    shown = [await run(sdk, agent, "Hi")]
    server.play([http_error(503), "Hello."])
    shown.append(await streamed(sdk, agent, "Hi"))
    server.play([http_error(500), "Never."])
    shown.append(await run(sdk, agent, "Hi"))
    return shown


@conforms
async def test_a_model_that_is_too_slow_ends_the_run(sdk, server):
    from agentstream.testing import stall

    agent = server.agent(sdk, model_settings=sdk.ModelSettings(timeout=0.1))
    server.play([turn("Hello.", stall())])
    shown = await run(sdk, agent, "Hi")
    server.requests.clear()  # whether it was sent by then is a matter of time
    return shown


@conforms
async def test_model_settings_are_merged_and_written_as_json(sdk, server):
    one = sdk.ModelSettings(temperature=0.1, extra_args={"a": 1}, metadata={"x": "1"})
    two = sdk.ModelSettings(temperature=None, top_p=0.5, extra_args={"b": 2})
    return [plain(one.resolve(two).to_json_dict()), plain(one.resolve(None).to_json_dict())]


@conforms
async def test_extra_headers_are_sent(sdk, server):
    agent = server.agent(sdk, model_settings=sdk.ModelSettings(extra_headers={"X-Lesson": "3"}))
    server.play(["Hello."])
    await run(sdk, agent, "Hi")
    return server.requests[0].headers["x-lesson"]


@conforms(apis=BOTH)
async def test_extra_args_are_sent_as_parameters(sdk, server):
    settings = sdk.ModelSettings(extra_args={"service_tier": "flex", "user": "ada"})
    return await ran(sdk, server, ["Hello."], server.agent(sdk, model_settings=settings), "Hi")


@conforms(apis=BOTH)
async def test_a_model_can_be_asked_without_a_run(sdk, server):
    server.play([turn("Hello.", call("x"))])
    model = server.model(sdk)
    response = await model.get_response(
        "Be.",
        "Hi",
        sdk.ModelSettings(),
        [],
        None,
        [],
        sdk.ModelTracing.DISABLED,
        previous_response_id=None,
        conversation_id=None,
        prompt=None,
    )
    return [response.output, response.usage.total_tokens, response.to_input_items()]


@conforms
async def test_without_a_key_a_run_fails(sdk, server):
    sdk.set_default_openai_client(None, use_for_tracing=False)
    try:
        await sdk.Runner.run(sdk.Agent(name="A"), "Hi")
    except Exception as error:
        return bool(failure(error))
