"""`local_model`: servers that run on this machine are found, each by its own address."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import Agent, Runner, UserError, local_model, map_frame
from agentstream.models.local import model as model_module
from agentstream.models.local import servers, small

LOADED = {"models": [{"name": "qwen3:8b"}]}
TAGS = {
    "models": [
        {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
        {"name": "gpt-oss:120b-cloud", "remote_host": "https://ollama.com:443", "details": {}},
        {"name": "smollm2:135m", "details": {"family": "llama", "parameter_size": "134.52M"}},
        {"name": "qwen3:8b", "details": {"family": "qwen3", "parameter_size": "8.2B"}},
    ]
}
STUDIO = {
    "data": [
        {"id": "text-embedding-nomic", "type": "embeddings", "state": "loaded"},
        {"id": "llama-3.2-1b", "type": "llm", "state": "not-loaded"},
        {"id": "qwen2-vl-7b", "type": "vlm", "state": "loaded"},
    ]
}
LLAMA = {"data": [{"id": "tiny.gguf", "owned_by": "llamacpp", "meta": {"n_params": 134515008}}]}
VLLM = {"data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm"}]}

KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "Ollama": ({"/api/tags": TAGS, "/api/ps": LOADED}, "qwen3:8b", "8.2 billion parameters"),
    "LM Studio": ({"/api/v0/models": STUDIO}, "qwen2-vl-7b", "on LM Studio"),
    "llama.cpp": (
        {"/health": {"status": "ok"}, "/v1/models": LLAMA},
        "tiny.gguf",
        "135 million parameters, a small model",
    ),
    "vLLM": ({"/v1/models": VLLM}, "Qwen/Qwen3-8B", "on vLLM"),
}
"""What each answers to GET, the model that is taken, and what is said of it."""

Served = tuple[str, list[tuple[str, Any]]]


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, Any]], Served]]:
    """Start servers that answer GET from a table, and Chat Completions with a stream or a text."""
    started: list[ThreadingHTTPServer] = []

    def start(answers: dict[str, Any]) -> Served:
        came: list[tuple[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                came.append((self.path, None))
                found = answers.get(self.path)
                if callable(found):
                    found = found()
                status, found = found if isinstance(found, tuple) else (200, found)
                if found is None:
                    self.answer(404, "text/html", b"<h1>Not here</h1>")
                else:
                    raw = found if isinstance(found, bytes) else json.dumps(found).encode()
                    self.answer(status, "application/json", raw)

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                came.append((self.path, asked))
                text = '{"topic": "food"}' if "response_format" in asked else "A mean."
                message = {"role": "assistant", "content": text}
                one = {"id": "c", "created": 0, "model": asked["model"]}
                if not asked.get("stream"):
                    choice = {"index": 0, "message": message, "finish_reason": "stop"}
                    done = one | {"object": "chat.completion", "choices": [choice]}
                    return self.answer(200, "application/json", json.dumps(done).encode())
                lines = []
                for delta, reason in ((message, None), ({}, "stop")):
                    choice = {"index": 0, "delta": delta, "finish_reason": reason}
                    chunk = one | {"object": "chat.completion.chunk", "choices": [choice]}
                    lines.append(f"data: {json.dumps(chunk)}\n\n")
                body = "".join([*lines, "data: [DONE]\n\n"])
                self.answer(200, "text/event-stream", body.encode())
                return None

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}", came

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No server at the usual ports, whatever runs on this machine; gives where to put them."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{one.getsockname()[1]}"
    ways = dict(zip(KINDS, (way for _, way in servers._KINDS), strict=True))

    def at(places: dict[str, str]) -> None:
        kinds = [(partial(places.get, kind, closed), find) for kind, find in ways.items()]
        monkeypatch.setattr(servers, "_KINDS", kinds)

    at({})
    monkeypatch.setattr(model_module, "small_server", no_small_server)
    return at


def no_small_server(weights: Any = None) -> Any:
    raise UserError(f"The small model's weights are not installed: {small.INSTALL}")


@pytest.mark.parametrize("kind", KINDS)
async def test_each_server_is_found_and_its_loaded_model_streams(
    kind: str, serve: Any, nobody: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, name, told = KINDS[kind]
    url, came = serve(answers)
    nobody({kind: url})
    model = local_model()
    result = Runner.run_streamed(Agent(name="Guide", model=model), "What is a mean?")
    async for _ in result.stream_events():
        pass
    assert result.final_output == "A mean."
    (path, asked) = came[-1]
    assert (path, asked["model"], asked["stream"]) == ("/v1/chat/completions", name, True)
    assert (model.server and model.server.kind) == kind
    said = capsys.readouterr().out
    assert said.startswith(f"Local model: {name} on {kind}, {url}/v1")
    assert told in said


@pytest.mark.parametrize("kind", KINDS)
async def test_each_is_held_to_the_schema_of_an_output_type(
    kind: str, serve: Any, nobody: Any
) -> None:
    class Review(BaseModel):
        topic: Literal["food", "price"]

    url, came = serve(KINDS[kind][0])
    nobody({kind: url})
    agent = Agent(name="Sorter", model=local_model(quiet=True), output_type=Review)
    assert (await Runner.run(agent, "Cold soup.")).final_output == Review(topic="food")
    sent = came[-1][1]["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["topic"]["enum"] == ["food", "price"]


async def test_no_proxy_is_asked_for_a_model_on_this_machine(
    serve: Any, nobody: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, seen = serve({})
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    url, came = serve(KINDS["Ollama"][0])
    nobody({"Ollama": url})
    agent = Agent(name="Guide", model=local_model(quiet=True))
    assert (await Runner.run(agent, "What is a mean?")).final_output == "A mean."
    assert came[-1][0] == "/v1/chat/completions"
    assert seen == []


def test_the_servers_are_taken_in_the_order_of_the_table(serve: Any, nobody: Any) -> None:
    nobody({kind: serve(answers)[0] for kind, (answers, *_) in KINDS.items()})
    assert [one.kind for one in servers.running_servers()] == list(KINDS)
    assert local_model(quiet=True).find().kind == "Ollama"


def test_a_model_is_found_by_its_name_on_whatever_server_has_it(serve: Any, nobody: Any) -> None:
    nobody({kind: serve(answers)[0] for kind, (answers, *_) in KINDS.items()})
    for name, kind in (("Qwen/Qwen3-8B", "vLLM"), ("llama-3.2-1b", "LM Studio")):
        assert local_model(name, quiet=True).find().kind == kind
    ollama = servers.running_servers()[0]
    assert (ollama.named("smollm2"), ollama.named("qwen3"), ollama.named("qwen")) == (
        "smollm2:135m",
        "qwen3:8b",
        None,
    )


def test_a_name_that_no_server_has_is_an_error_that_lists_what_there_is(
    serve: Any, nobody: Any
) -> None:
    nobody({"Ollama": serve(KINDS["Ollama"][0])[0]})
    with pytest.raises(UserError, match=r"'phi4'.*Ollama: qwen3:8b, smollm2:135m.*pull phi4"):
        local_model("phi4").find()


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/api/tags": []},
        {"/api/tags": {"models": None}},
        {"/api/tags": {"models": [None, {}, {"name": 5}]}},
        {"/api/tags": {"models": [{"name": "bge-m3:latest", "details": {"family": "bert"}}]}},
        {"/api/tags": b"\xff\x00{"},
        {"/api/v0/models": {"data": [{"id": "a", "type": "embeddings"}, "b", {"type": "llm"}]}},
        {"/health": {"status": "ok"}},
        {"/health": (503, {"error": "down"}), "/v1/models": LLAMA},
        {"/health": b"OK", "/v1/models": LLAMA},
        {"/v1/models": {"data": [{"id": "someone's", "owned_by": "me"}]}},
        {"/v1/models": (401, {"error": "Unauthorized"})},
    ],
)
def test_other_programs_at_these_ports_and_servers_without_a_model_are_passed_over(
    answers: dict[str, Any], serve: Any, nobody: Any
) -> None:
    url, came = serve(answers)
    nobody(dict.fromkeys(KINDS, url))
    with pytest.raises(UserError) as caught:
        local_model().find()
    assert came
    for way in ("Ollama (port 11434)", "LM Studio (1234)", small.INSTALL):
        assert way in str(caught.value)


def test_llama_cpp_that_loads_its_model_is_waited_for(
    serve: Any, nobody: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [3]

    def health() -> Any:
        left[0] -= 1
        loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
        return {"status": "ok"} if left[0] < 0 else (503, loading)

    monkeypatch.setattr(servers.time, "sleep", lambda _: None)
    nobody({"llama.cpp": serve({"/health": health, "/v1/models": LLAMA})[0]})
    assert local_model(quiet=True).find().models == ("tiny.gguf",)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("127.0.0.1:9999", "http://127.0.0.1:9999"),
        ("http://box.lan:80", "http://box.lan:80"),
        ("[::1]:5", "http://[::1]:5"),
        ("box:notaport", "http://box:11434"),
    ],
)
def test_ollama_is_looked_for_where_its_own_programs_look(
    host: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert servers._ollama_url() == url


def test_it_is_looked_for_when_it_is_first_asked_and_once(serve: Any, nobody: Any) -> None:
    url, came = serve(KINDS["Ollama"][0])
    nobody({"Ollama": url})
    agent = Agent(name="Guide", model=local_model("qwen3", quiet=True))
    assert came == []
    for _ in range(2):  # each in a loop of its own
        assert Runner.run_sync(agent, "What is a mean?").final_output == "A mean."
    paths = [path for path, _ in came]
    assert paths.count("/api/tags") == 1
    assert paths.count("/v1/chat/completions") == 2


async def test_rows_of_one_local_model_are_no_answers_of_another(
    serve: Any, nobody: Any, tmp_path: Path
) -> None:
    rows, path = pd.DataFrame({"text": ["What is a mean?"]}), tmp_path / "rows.sqlite"

    def ask(model: Any, **how: Any) -> Any:
        agent = Agent(name="Guide", model=model)
        return map_frame(agent, rows, "{text}", checkpoint=path, **how)

    url, came = serve(KINDS["Ollama"][0])
    nobody({"Ollama": url})
    assert list((await ask(local_model(quiet=True)))["source"]) == ["asked"]
    assert list((await ask(local_model(quiet=True)))["source"]) == ["checkpoint"]
    other, came_there = serve(KINDS["vLLM"][0])
    nobody({"vLLM": other})
    with pytest.raises(UserError, match=r"qwen3:8b(?s:.*)Qwen/Qwen3-8B"):
        await ask(local_model(quiet=True))
    again = await ask(local_model(quiet=True), on_change="ask again")
    assert list(again["source"]) == ["asked"]
    assert [path for path, asked in came + came_there if asked] == ["/v1/chat/completions"] * 2


def test_what_tells_a_local_model_from_others_is_known_without_starting_one(
    serve: Any, nobody: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local_model().identity() == "smollm2"  # which is not installed here
    assert local_model(weights="/models/tiny.gguf").identity() == "tiny.gguf"
    assert local_model("qwen3:8b").identity() == "qwen3:8b"  # also while its server does not run
    url, came = serve(KINDS["Ollama"][0])
    nobody({"Ollama": url})
    model = local_model()
    assert [model.identity(), model.identity(), model.find().kind] == ["qwen3:8b"] * 2 + ["Ollama"]
    assert [path for path, _ in came].count("/api/tags") == 1
    assert capsys.readouterr().out.count("Local model: qwen3:8b on Ollama") == 1


def test_it_is_recorded_under_the_name_that_was_given() -> None:
    assert (local_model().model, local_model("qwen3").model) == ("local", "qwen3")
    assert repr(local_model("qwen3")) == "LocalModel('qwen3')"


def test_the_error_of_a_missing_key_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"model=local_model\(\)"):
        Runner.run_sync(Agent(name="Guide"), "Hello")
