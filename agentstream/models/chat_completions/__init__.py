"""The Chat Completions API: requests, and streams as events of the Responses API."""
