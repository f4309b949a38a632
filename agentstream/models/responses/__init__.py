"""The Responses API: requests, tools, and streams that go on after a break."""
