"""How each event changes a trace."""
