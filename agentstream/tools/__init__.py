"""Tools: functions, hosted ones, and how a call is made."""
