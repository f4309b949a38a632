"""What an agent, a tool and their settings show of themselves: what they have, in a few lines."""

from __future__ import annotations

from typing import Any

from agentstream import (
    Agent,
    FunctionTool,
    HostedMCPTool,
    InputGuardrail,
    ModelSettings,
    RunConfig,
    RunContextWrapper,
    WebSearchTool,
    function_tool,
    handoff,
)
from agentstream._utils.short_repr import signature_of


@function_tool
def add(ctx: RunContextWrapper[Any], a: int, b: int = 3) -> int:
    """Add two numbers.

    Parameters
    ----------
    a : int
        The first of them.
    """
    return a + b


async def look_up(context: Any, arguments: str) -> str:
    return arguments


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": ["integer", "null"], "default": 3}},
    "required": ["city"],
}
LOOKUP = FunctionTool("lookup", "Look up.", SCHEMA, look_up, strict_json_schema=False)


def refuse(context: Any, agent: Any, input: Any) -> Any:
    return None


def full() -> Agent[Any]:
    writer = Agent(name="Writer")
    return Agent(
        name="Guide",
        instructions="Answer in one line. " * 60,
        tools=[add, LOOKUP, WebSearchTool()],
        handoffs=[writer, handoff(Agent(name="Billing"))],
        model="gpt-5-mini",
        model_settings=ModelSettings(temperature=0.2),
        input_guardrails=[InputGuardrail(refuse)],
        output_type=list[int],
    )


def test_a_tool_shows_its_signature_without_the_context() -> None:
    assert repr(add) == "<FunctionTool add(a: int, b: int = 3) -> int: Add two numbers.>"
    assert signature_of(LOOKUP) == "lookup(city: string, days: integer | null = 3)"


def test_a_tool_shows_what_was_chosen_for_it() -> None:
    @function_tool(needs_approval=True, timeout=3)
    async def book(nights: "list[int]") -> str:  # noqa: UP037
        return ""

    shown = "needs_approval=True, timeout_seconds=3.0"
    assert repr(book) == f"<FunctionTool book(nights: list[int]) -> str ({shown})>"


def test_settings_show_what_was_chosen() -> None:
    assert repr(ModelSettings()) == "ModelSettings()"
    assert repr(ModelSettings(temperature=0.0, top_p=None)) == "ModelSettings(temperature=0.0)"


def test_an_agent_shows_itself_in_a_few_lines() -> None:
    shown = repr(full())
    assert len(shown) < 600
    for named in ("add", "lookup", "Writer", "Billing", "gpt-5-mini", "temperature=0.2", "refuse"):
        assert named in shown
    assert "params_json_schema" not in shown
    assert repr(Agent(name="Poet")) == "Agent(name='Poet')"


def test_agents_that_hand_over_to_one_another_show_themselves() -> None:
    one, two = Agent(name="One"), Agent(name="Two")
    one.handoffs, two.handoffs = [two], [one]
    assert repr(one) == "Agent(name='One', handoffs=[Two])"
    assert "hands over to: Two" in one._repr_mimebundle_()["text/plain"]


def test_a_notebook_shows_an_agents_graph_and_what_it_has() -> None:
    bundle = full()._repr_mimebundle_()
    assert '<img src="data:image/svg+xml;base64,' in bundle["text/html"]
    lines = bundle["text/plain"].splitlines()
    assert len(lines) < 20
    for html_or_text in bundle.values():
        for said in ("add(a: int, b: int = 3)", "Look up.", "web_search", "Billing", "refuse"):
            assert said in html_or_text
    assert "list[int]" in bundle["text/plain"]


def test_an_agent_with_very_many_tools_is_cut() -> None:
    agent = Agent(name="Much", tools=[add] * 200, handoffs=[Agent(name=f"A{n}") for n in range(50)])
    assert len(repr(agent)) < 600
    assert len(agent._repr_mimebundle_()["text/plain"].splitlines()) < 30


def test_what_an_agent_is_called_is_text_and_nothing_acts() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J\n\n# Title"
    agent = Agent(name=hostile, instructions=hostile, model=hostile)
    html = agent._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "\n\n" not in html
    assert "\x1b" not in "".join(agent._repr_mimebundle_().values()) + repr(agent)


def test_a_key_in_a_setting_does_not_print() -> None:
    settings = ModelSettings(extra_headers={"x-api-key": "sk-1234567890"})
    agent = Agent(name="Poet", model_settings=settings)
    assert "sk-123" not in repr(agent) + "".join(agent._repr_mimebundle_().values())


def test_a_run_config_and_hosted_tools_show_what_was_chosen_for_them() -> None:
    assert repr(RunConfig()) == "RunConfig()"
    chosen = RunConfig(model="gpt-5-mini", limits={"run": 60})
    assert repr(chosen) == "RunConfig(model='gpt-5-mini', limits=TimeLimits(run=60))"
    assert repr(WebSearchTool()) == "WebSearchTool()"
    config = {"type": "mcp", "server_label": "x", "authorization": "sk-secret-of-mine-123"}
    shown = repr(HostedMCPTool(config))  # type: ignore[arg-type]
    assert shown.startswith("HostedMCPTool(tool_config={'type': 'mcp', 'server_label': 'x'")
    assert "secret" not in shown
