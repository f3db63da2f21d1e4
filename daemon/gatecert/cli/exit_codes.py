"""Exit codes of the command, and what they mean."""

from __future__ import annotations

FAILED = 1  # at least one gateway failed
WRONG_USAGE = 2  # or a configuration that cannot be used
HELD = 3  # another gatecert holds the state directory or the gateway
INTERRUPTED = 130
UNREAD = 141  # what a shell shows for a program that SIGPIPE ended
