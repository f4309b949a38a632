"""The ways to show text that grows in a notebook, as cells that a user would write.

`SETUP` is the cell before: it makes ``stream()``, which yields the tokens of a Markdown answer flat
out or paced, notes in ``arrived`` when the last one came, and for `show` an agent whose model gives
the same tokens.
"""

from __future__ import annotations

END = "the.last.token"

_SETUP = """
import asyncio, resource, time
import ipywidgets as widgets
from html import escape
from IPython.display import Markdown, display
from bench.markdown import tokens

TOKENS = [*tokens({count}), "\\n\\n{end}"]
RATE = {rate}
arrived = 0.0

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

async def stream():
    global arrived
    start = time.perf_counter()
    for number, token in enumerate(TOKENS):
        if RATE:
            await asyncio.sleep(max(0, start + number / RATE - time.perf_counter()))
        elif number % 100 == 0:
            await asyncio.sleep(0)
        arrived = time.time()
        yield token
"""

_SERVED = """
from openai import AsyncOpenAI
URL = {url!r}

async def stream():
    client = AsyncOpenAI(api_key="none", base_url=URL)
    async for event in await client.responses.create(model="m", input="x", stream=True):
        if event.type == "response.output_text.delta":
            yield event.delta
"""

_SERVED_AGENT = """
import os
from agentstream import Agent, Runner, show
os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": URL}
agent = Agent(name="Guide", model="m")
"""

_AGENT = '''
import json
from agentstream import Agent, Runner
from agentstream.models.base import Model
from agentstream.models.http.sse import responses_event
from agentstream.notebook.show import show
from bench.answers import text

class Replay(Model):
    """Yields events made beforehand, as the others get tokens made beforehand."""
    model = "replay"
    events = [responses_event(json.loads(e.split(b"data: ")[1])) for e in text(TOKENS)]

    async def get_response(self, *args, **kwargs):
        raise NotImplementedError

    async def stream_response(self, *args, **kwargs):
        deltas = [e for e in self.events if e.type == "response.output_text.delta"]
        at = self.events.index(deltas[0])
        for event in self.events[:at]:
            yield event
        async for token in stream():
            yield self.events[at]
            at += 1
        for event in self.events[at:]:
            yield event

agent = Agent(name="Guide", model=Replay())
'''

CELLS = {
    "print": """
async for token in stream():
    print(token, end="", flush=True)
""",
    "update_display": """
text = ""
shown = display(Markdown(text), display_id=True)
async for token in stream():
    text += token
    shown.update(Markdown(text))
""",
    "HTML.value": """
text = ""
box = widgets.HTML()
display(box)
async for token in stream():
    text += token
    box.value = f"<pre>{escape(text)}</pre>"
""",
    # What its chat does with each token of an answer: Chat._chat_impl_async in chatlas 0.23.
    "chatlas": """
with chat._markdown_display(echo="text") as shown:
    async for token in stream():
        shown.echo(token)
""",
    "show": """
await show(Runner.run_streamed(agent, "Write an answer."));
""",
}
"""The cell of each technique."""

QUADRATIC = ("update_display", "HTML.value", "chatlas")
"""Those that send the whole text with each token."""

_MORE = {
    "chatlas": 'from chatlas import ChatOpenAI\nchat = ChatOpenAI(api_key="none")\n',
    "show": _AGENT,
}


def setup(technique: str, count: int, rate: float, url: str | None = None) -> str:
    """The cell before: `count` tokens at `rate` a second, 0 for flat out.

    They are made in the cell, or come from the server at `url`: then they are read through the
    official client, and for `show` by an agent.
    """
    cell = _SETUP.format(count=count, rate=rate, end=END)
    if url is None:
        return cell + _MORE.get(technique, "")
    source = f"{url}/markdown-{count}-{rate:g}/v1" if rate else f"{url}/markdown-{count}/v1"
    more = _SERVED_AGENT if technique == "show" else _MORE.get(technique, "")
    return cell + _SERVED.format(url=source) + more
