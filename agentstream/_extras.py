"""The distribution's name, and how what is optional in it is installed."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "jupyter-agentstream"
"""What is installed; ``import agentstream`` is what it brings."""

EXTRAS: Final = {
    "lab": "JupyterLab and Notebook, a kernel, nbclient, and the notebooks' plotting libraries",
    "local": "a small model and llama.cpp, for `local_model()` without a model server",
    "trace": "costs in USD, a run as parquet, a timeline as PNG",
    "rows": "costs, frames of polars and others, a progress bar in a terminal",
    "dask": "rows on the workers of a Dask cluster",
    "mcp": "MCP servers",
    "encrypt": "`EncryptedSession`",
    "sqlalchemy": "`SQLAlchemySession`",
    "litellm": "`LitellmModel`: models of Anthropic, Gemini, Bedrock and others; 44 MB",
    "any-llm": "`AnyLLMModel`: models of other providers, through their own libraries",
    "redis": "`RedisSession`",
    "bench": "the packages that `python -m bench` compares with",
    "docs": "the documentation site",
    "dev": "everything that the tests use",
}
"""The extras of the distribution, and what each is for."""


def install_command(extra: str) -> str:
    """Return what a user types to get an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
