"""A scripted server on loopback that speaks both APIs."""
