"""A run recorded once and replayed without a key: the file, who writes it, who reads it."""
