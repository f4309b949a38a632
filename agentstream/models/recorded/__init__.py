"""Model calls recorded once and replayed anywhere: request, events and arrival times in a file."""
