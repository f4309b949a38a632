"""A few lines that tell a model how handoffs work, to put before its instructions."""

RECOMMENDED_PROMPT_PREFIX = (
    "# About this conversation\n"
    "Several agents share this conversation; each has its own instructions and tools. "
    "You may pass the conversation on by calling a function named `transfer_to_<agent>`. "
    "This happens out of the user's sight: do not announce a transfer and do not comment on one."
)


def prompt_with_handoff_instructions(prompt: str) -> str:
    """`prompt` with the lines about handoffs before it.

    Parameters
    ----------
    prompt : str
        The agent's own instructions.

    Returns
    -------
    str
        The instructions to give to `Agent`.

    Examples
    --------
    >>> prompt_with_handoff_instructions("You book hotels.").endswith("You book hotels.")
    True
    """
    return f"{RECOMMENDED_PROMPT_PREFIX}\n\n{prompt}"
