"""Fakes for tests and lessons: a scripted model, a scripted server, and the words of a script.

Examples
--------
>>> import asyncio
>>> from agentstream.testing import ScriptedModel, call, say, turn
>>> model = ScriptedModel([turn("Let me look.", call("get_weather", city="Lisbon")), "Sunny."])
>>> async def count():
...     return len([event async for event in model.ask("How is the weather?")])
>>> asyncio.run(count())
20
"""

from .notebooks.check import NotebookError, check_notebook, save_notebook
from .notebooks.lessons import is_live, stand_in
from .notebooks.normalise import normalised
from .scripted.faults import cut, fail, http_error, incomplete, raw, reset, stall, stream_error
from .scripted.hosted import (
    item,
    make_image,
    mcp_approval,
    mcp_call,
    mcp_tools,
    run_code,
    search_files,
    search_tools,
    web_search,
)
from .scripted.model import ScriptedModel
from .scripted.parts import answer, call, cite, hand_off, refuse, say, think
from .scripted.shapes import Pace, Part, ScriptRequest, Turn
from .scripted.turns import turn
from .server.batches import ScriptedBatches
from .server.http import RecordedRequest
from .server.rate_limits import RateLimits
from .server.responder import Call
from .server.server import ScriptedServer
from .virtual_time import VirtualService, run_in_virtual_time

__all__ = [
    "Call",
    "NotebookError",
    "Pace",
    "Part",
    "RateLimits",
    "RecordedRequest",
    "ScriptRequest",
    "ScriptedBatches",
    "ScriptedModel",
    "ScriptedServer",
    "Turn",
    "VirtualService",
    "answer",
    "call",
    "check_notebook",
    "cite",
    "cut",
    "fail",
    "hand_off",
    "http_error",
    "incomplete",
    "is_live",
    "item",
    "make_image",
    "mcp_approval",
    "mcp_call",
    "mcp_tools",
    "normalised",
    "raw",
    "refuse",
    "reset",
    "run_code",
    "run_in_virtual_time",
    "save_notebook",
    "say",
    "search_files",
    "search_tools",
    "stall",
    "stand_in",
    "stream_error",
    "think",
    "turn",
    "web_search",
]
