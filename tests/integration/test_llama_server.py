"""The server itself, through the official client: what the tests beside this one build on."""

from __future__ import annotations

from openai import AsyncOpenAI


async def test_it_streams_responses(llama_client: AsyncOpenAI) -> None:
    stream = await llama_client.responses.create(
        model="smollm2", input="Say hello.", stream=True, max_output_tokens=12, temperature=0
    )
    types = [event.type async for event in stream]
    assert types[0] == "response.created"
    assert types[-1] == "response.completed"
    assert types.count("response.output_text.delta") > 3


async def test_it_streams_chat_completions(llama_client: AsyncOpenAI) -> None:
    stream = await llama_client.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "Say hello."}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=12,
        temperature=0,
    )
    chunks = [chunk async for chunk in stream]
    assert sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content) > 3
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12
