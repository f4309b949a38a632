"""Which servers of models run on this machine, and what they serve.

Each is looked for at its own port, and by an address that tells it from any other program there:

==========  =====  ======================  ==========================================
server      port   asked for               tells
==========  =====  ======================  ==========================================
Ollama      11434  /api/tags               models, their sizes; /api/ps: what is loaded
LM Studio   1234   /api/v0/models          models, their kinds, what is loaded
llama.cpp   8080   /health, /v1/models     the one model
vLLM        8000   /v1/models              the one model, and who owns it
==========  =====  ======================  ==========================================

All are asked by Chat Completions: each has them, with a schema for the answer, which the Responses
API of Ollama and llama.cpp takes no notice of.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["LocalServer", "running_servers"]

_TIMEOUT: Final = 2.0  # seconds, for an answer of a server on this machine
_LOADING: Final = 60.0  # seconds that llama.cpp may take to load its model
_MOST: Final = 4_000_000  # bytes of an answer
_BILLION: Final = 1e9


@dataclass(frozen=True)
class LocalServer:
    """A server that answers, and the model that it is asked for."""

    kind: str
    base_url: str
    models: tuple[str, ...]
    sizes: dict[str, float] = field(default_factory=dict, compare=False)
    key: str = field(default="no-key-needed", repr=False)

    def named(self, name: str) -> str | None:
        """The model of this name; ``qwen3`` names ``qwen3:latest`` and ``qwen3:8b``, too."""
        fits = [one for one in self.models if one == name or one.partition(":")[0] == name]
        return min(fits, key=lambda one: (one != name, one != f"{name}:latest"), default=None)

    def describe(self, model: str) -> str:
        """What the model is, in a line, and that it is small where it is."""
        size = self.sizes.get(model)
        text = f"{model} on {self.kind}, {self.base_url}"
        if size is None:
            return text
        if size >= _BILLION:
            return f"{text}: {size / _BILLION:.3g} billion parameters"
        return (
            f"{text}: {size / 1e6:.0f} million parameters, a small model. Its sentences are "
            "fluent, its facts are often wrong; an output_type holds its answers to a form"
        )


def running_servers() -> list[LocalServer]:
    """Find the servers that answer now and have a model that can chat, in the table's order."""
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda kind: kind[1](kind[0]()), _KINDS)
        return [server for server in results if server is not None and server.models]


def _ollama(url: str) -> LocalServer | None:
    status, tags = _get(f"{url}/api/tags")
    if status != 200 or not isinstance(_of(tags, "models"), list):
        return None
    listed = [one for one in tags["models"] if isinstance(_of(one, "name"), str)]
    # What runs in Ollama's cloud wants an account.
    here = [one for one in listed if not one.get("remote_host") and not _embeds(one)]
    running = _of(_get(f"{url}/api/ps")[1], "models")
    loaded = {_of(one, "name") for one in running} if isinstance(running, list) else set()
    names = sorted((one["name"] for one in here), key=lambda name: name not in loaded)
    sizes = {one["name"]: _of(_of(one, "details"), "parameter_size") for one in here}
    return LocalServer("Ollama", f"{url}/v1", tuple(names), _numbers(sizes))


def _lm_studio(url: str) -> LocalServer | None:
    status, data = _get(f"{url}/api/v0/models")
    if status != 200 or not isinstance(_of(data, "data"), list):
        return None
    chats = [one for one in data["data"] if _of(one, "type") in ("llm", "vlm")]
    # /v1/models would list all that was ever downloaded, as if it were loaded.
    chats.sort(key=lambda one: one.get("state") != "loaded")
    return LocalServer("LM Studio", f"{url}/v1", _ids(chats))


def _llama_cpp(url: str) -> LocalServer | None:
    limit = time.monotonic() + _LOADING
    while True:
        status, health = _get(f"{url}/health")
        is_loading = status == 503 and "loading" in str(_of(health, "error")).lower()
        if not is_loading or time.monotonic() > limit:
            break
        time.sleep(0.25)
    if status != 200 or _of(health, "status") != "ok":
        return None
    served = _of(_get(f"{url}/v1/models")[1], "data")
    if not isinstance(served, list):
        return None
    sizes = {one["id"]: _of(_of(one, "meta"), "n_params") for one in served if _of(one, "id")}
    return LocalServer("llama.cpp", f"{url}/v1", _ids(served), _numbers(sizes))


def _vllm(url: str) -> LocalServer | None:
    served = _of(_get(f"{url}/v1/models")[1], "data")
    if not isinstance(served, list) or not any(_of(one, "owned_by") == "vllm" for one in served):
        return None  # many programs listen on this port
    return LocalServer("vLLM", f"{url}/v1", _ids(served))


def _ollama_url() -> str:
    """Where Ollama's own programs look for it, which OLLAMA_HOST may say."""
    host = os.environ.get("OLLAMA_HOST", "").strip()
    parts = urlsplit(host if "://" in host else f"http://{host}")
    try:
        port = parts.port
    except ValueError:
        port = None
    name = parts.hostname or "127.0.0.1"
    if name in ("0.0.0.0", "::"):
        name = "127.0.0.1"
    default = {"http": 11434, "https": 443}.get(parts.scheme, 11434) if "://" in host else 11434
    return f"http://{f'[{name}]' if ':' in name else name}:{port or default}"


_KINDS: list[tuple[Callable[[], str], Callable[[str], LocalServer | None]]] = [
    (_ollama_url, _ollama),
    (lambda: "http://127.0.0.1:1234", _lm_studio),
    (lambda: "http://127.0.0.1:8080", _llama_cpp),
    (lambda: "http://127.0.0.1:8000", _vllm),
]
"""Where each is looked for, and how it is recognised."""


def _get(url: str) -> tuple[int, Any]:
    """The status and the JSON at an address; 0 where nobody is, None where it is no JSON."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read(_MOST)
    except (OSError, HTTPException):  # nobody is there, or somebody who speaks no HTTP
        return 0, None
    finally:
        connection.close()
    try:
        return answer.status, json.loads(body)
    except ValueError:
        return answer.status, None


def _of(value: Any, key: str) -> Any:
    """The value of a key, where there is an object: whatever answers may say anything."""
    return value.get(key) if isinstance(value, dict) else None


def _ids(models: list[Any]) -> tuple[str, ...]:
    return tuple(one["id"] for one in models if isinstance(_of(one, "id"), str))


def _embeds(model: Any) -> bool:
    family = str(_of(_of(model, "details"), "family"))
    return "bert" in family or "embed" in str(_of(model, "name")).lower()


def _numbers(sizes: dict[str, Any]) -> dict[str, float]:
    """Numbers of parameters, from numbers or from texts such as ``8.2B`` and ``134.52M``."""
    numbers = {}
    for name, size in sizes.items():
        text = str(size).strip()
        factor = {"B": 1e9, "M": 1e6, "K": 1e3}.get(text[-1:].upper())
        try:
            numbers[name] = float(text[:-1]) * factor if factor else float(text)
        except ValueError:
            continue
    return numbers
