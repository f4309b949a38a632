"""`chat`: turns of a conversation in one view."""
