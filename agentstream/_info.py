"""What a report of a fault needs: versions, the front end, the extras; never a key."""

from __future__ import annotations

import os
import platform
import sys
from importlib import util
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from ._extras import DISTRIBUTION

__all__ = ["info_lines"]

_PACKAGES: Final = (
    *("openai", "openai-agents", "pydantic", "aiohttp", "httpx2", "mcp"),
    *("ipython", "ipykernel", "ipywidgets", "anywidget", "traitlets", "comm"),
    *("jupyterlab", "notebook", "jupyter-client", "nbclient", "marimo", "voila"),
    *("pandas", "numpy", "pyarrow", "matplotlib", "nest-asyncio", "nest-asyncio2", "uvloop"),
)

_FRONT_ENDS: Final = {
    "VSCODE_PID": "VS Code",
    "POSITRON": "Positron",
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
    "JUPYTERHUB_USER": "JupyterHub",
    "DATABRICKS_RUNTIME_VERSION": "Databricks",
    "SPY_PYTHONPATH": "Spyder",
    "JPY_SESSION_NAME": "a notebook of Jupyter",
    "JPY_PARENT_PID": "a kernel of Jupyter",
}
"""Variables that a front end sets, of which only the names are read."""

_USED_BY: Final = {
    "lab": ("jupyterlab", "ipykernel", "nbclient"),
    "local": ("xllamacpp",),
    "trace": ("genai_prices", "pyarrow", "resvg_py"),
    "rows": ("genai_prices", "narwhals", "tqdm"),
    "mcp": ("mcp",),
    "encrypt": ("cryptography",),
    "sqlalchemy": ("sqlalchemy",),
}
"""What is imported of each extra."""

_SET: Final = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_DEFAULT_MODEL", "AGENTSTREAM_SHOW"),
    *("AGENTSTREAM_LIVE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHONASYNCIODEBUG"),
)
"""Variables that change what happens; they may hold keys and passwords, so no value is shown."""


def info_lines() -> list[str]:
    """Return the lines of ``python -m agentstream info``."""
    packages = {name: _version(name) for name in _PACKAGES}
    there = [f"{name} {number}" for name, number in packages.items() if number]
    extras = {
        extra: [name for name in names if util.find_spec(name) is None]
        for extra, names in _USED_BY.items()
    }
    front_ends = [label for name, label in _FRONT_ENDS.items() if name in os.environ]
    configured = [name for name in _SET if os.environ.get(name)]
    return [
        f"{DISTRIBUTION} {_version(DISTRIBUTION) or _own_version()}",
        f"Python {platform.python_version()} ({platform.python_implementation()}), "
        f"{platform.platform()}, {sys.getfilesystemencoding()}",
        f"started by: {', '.join(front_ends) or 'a terminal, or another program'}",
        f"packages: {', '.join(there)}",
        f"extras: {', '.join(extra for extra, missing in extras.items() if not missing) or 'none'}",
        *(f"  {extra} lacks {', '.join(missing)}" for extra, missing in extras.items() if missing),
        f"set in the environment: {', '.join(configured) or 'nothing of interest'}",
    ]


def _own_version() -> str:
    """The version of a clone that is not installed."""
    from . import __version__

    return f"{__version__} (not installed)"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
