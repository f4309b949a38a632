"""Not here on purpose; importing it says where it is."""

from ._unsupported import refuse

refuse("voice", "realtime and voice")
