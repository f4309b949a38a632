"""A garden's weather station as an MCP server, for notebook 11. It speaks over its pipes."""

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

CELSIUS = {
    "Mon": 14.2,
    "Tue": 15.8,
    "Wed": 17.1,
    "Thu": 21.4,
    "Fri": 20.9,
    "Sat": 16.3,
    "Sun": 15.0,
}

station = MCPServer("station", instructions="Temperatures of one week in a garden.")


@station.tool()
def list_days() -> list[str]:
    """List the days that have a reading."""
    return list(CELSIUS)


@station.tool()
def read_day(day: str) -> float:
    """Read the temperature of one day, in degrees Celsius.

    Args:
        day: Three letters, such as Mon.
    """
    if day not in CELSIUS:
        # What another exception says stays in the server; this one is told to the model.
        raise ToolError(f"No reading for {day!r}; there are {', '.join(CELSIUS)}.")
    return CELSIUS[day]


@station.tool()
def forget_day(day: str) -> str:
    """Delete the reading of one day for good."""
    del CELSIUS[day]
    return f"{day} is gone, {len(CELSIUS)} days are left."


@station.prompt(description="How to write the report of a week.")
def report(language: str) -> str:
    """Tell how a report is written."""
    return f"Report in {language}, in one sentence: the warmest day first, with its degrees."


if __name__ == "__main__":
    station.run("stdio")
