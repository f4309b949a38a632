"""Not here on purpose; importing it says where it is."""

from .elsewhere import refuse

refuse("sandbox", "sandboxes")
