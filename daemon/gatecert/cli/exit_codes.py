"""Exit codes of the command, and what they mean."""

from __future__ import annotations

FAILED = 1
WRONG_USAGE = 2
HELD = 3
INTERRUPTED = 130
UNREAD = 141  # what a shell shows for a program that SIGPIPE ended

MEANINGS = {
    0: "done",
    FAILED: "a gateway failed, or failed before and waits for its next attempt without a usable "
    "certificate",
    WRONG_USAGE: "wrong usage or configuration",
    HELD: "another gatecert holds the state directory or the gateway",
    INTERRUPTED: "interrupted, or a question was answered with no",
    UNREAD: "the reader closed the output early (`status | head`); `enroll` and other changes "
    "continue without output",
}
