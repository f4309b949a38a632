"""What a view leaves in the saved notebook: HTML, Markdown and text."""
