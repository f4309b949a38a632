"""Small things that a program of the SDK may rely on."""

from agentstream.testing import http_error, turn
from agentstream.testing import item as other_item

from .harness import BOTH, CHAT, conforms, run, streamed


@conforms(apis=(CHAT,))
async def test_files_keep_their_names_and_parts_their_cache_breakpoints(sdk, server):
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    content = [
        {"type": "input_text", "text": "Read", **mark},
        {"type": "input_file", "file_id": "file_1", "filename": "a.pdf"},
        {"type": "input_file", "file_data": "data:,x", "filename": "b.pdf", **mark},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low", **mark},
        {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}, **mark},
    ]
    server.play(["Read."])
    return await run(sdk, server.agent(sdk), [{"role": "user", "content": content}])


@conforms
async def test_who_made_an_item_is_not_sent_back(sdk, server):
    made = {"type": "compaction", "encrypted_content": "x", "created_by": "someone"}
    server.play([turn(other_item(made, prefix="cmp"), "Hello.")])
    result = await sdk.Runner.run(server.agent(sdk), "Hi")
    return result.to_input_list()


@conforms(apis=BOTH)
async def test_a_run_that_is_cancelled_before_it_is_read_asks_no_model(sdk, server):
    server.play(["Hello."])
    result = sdk.Runner.run_streamed(server.agent(sdk), "Hi")
    result.cancel(mode="after_turn")
    events = [event.type async for event in result.stream_events()]
    return [events, result.final_output, len(server.requests)]


@conforms
async def test_a_conversation_that_is_locked_is_waited_for(sdk, server):
    locked = http_error(400, "Locked.", code="conversation_locked")
    server.play([locked, "Hello."])
    whole = await run(sdk, server.agent(sdk), "Hi", conversation_id="conv_1")
    server.play([locked, "Hello."])
    shown = await streamed(sdk, server.agent(sdk), "Hi", conversation_id="conv_1")
    never = sdk.ModelSettings(retry=sdk.ModelRetrySettings(max_retries=0))
    server.play([locked])
    agent = server.agent(sdk, model_settings=never)
    return [whole, shown, (await run(sdk, agent, "Hi", conversation_id="c"))["error"]["type"]]
