"""The child process that sends one message to one receiver; see `gatecert.monitoring.delivery`.

It imports only what the kind of its receiver needs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final, TextIO

from gatecert import container
from gatecert.errors import clean
from gatecert.model import ReceiverKind
from gatecert.monitoring.delivery_answer import CHECK_IT, Answer
from gatecert.monitoring.time_limit import TooLateError, at_most
from gatecert.system_calls import keep_memory_private
from gatecert.trusted_files import WeakFileError, read_secret

LONGEST_REQUEST: Final = 16 << 20  # bytes


def main() -> None:
    """Read a request from standard input, and write the answer to standard output."""
    container.in_container = container.is_container()
    keep_memory_private()
    with _standard_output() as output:
        request = json.loads(sys.stdin.buffer.read(LONGEST_REQUEST))
        _write(output, _as_json(_attempt(request, output)))


def _attempt(request: dict[str, object], output: TextIO) -> Answer:
    """Send the message within the time of the receiver."""
    seconds = float(str(request["seconds"]))
    try:
        return _sent(request, output, seconds)
    except TooLateError:
        return Answer(accepted=False, problem=f"no answer within {seconds:g} s", fix=CHECK_IT)
    except WeakFileError as error:
        what = f"its file is not used, because it {clean(str(error.weakness))}"
        return Answer(accepted=False, problem=what, fix=error.fix, refused=True)
    except SecretFileError as error:
        fix = "write the URL to it, readable for gatecert only"
        return Answer(accepted=False, problem=str(error), fix=fix, refused=True)


def _sent(request: dict[str, object], output: TextIO, seconds: float) -> Answer:
    message = request["message"]
    if not isinstance(message, dict):
        raise TypeError("the message is no object")
    match ReceiverKind(str(request["kind"])):
        case ReceiverKind.COMMAND:
            from gatecert.monitoring.command_receiver import run  # noqa: PLC0415 - see above

            command = request["command"]
            return run(  # which needs no alarm, and must not be interrupted while it kills
                list(map(str, command)) if isinstance(command, list) else [], message, seconds
            )
        case ReceiverKind.WEBHOOK:
            from gatecert.monitoring.webhook_receiver import post  # noqa: PLC0415 - see above

            (url, *_) = read_urls(str(request["file"]))
            with at_most(seconds):
                return post(url, message, seconds)
        case ReceiverKind.APPRISE:
            from gatecert.monitoring.apprise_receiver import notify  # noqa: PLC0415 - see above

            done = request["accepted"]
            return notify(
                read_urls(str(request["file"])),
                message,
                frozenset(map(str, done)) if isinstance(done, list) else frozenset(),
                lambda digest: _write(output, {"url": digest}),
                seconds,
            )


class SecretFileError(Exception):
    """A file with a URL that cannot be used; the message does not repeat its name."""


def read_urls(file: str) -> list[str]:
    """Return the URLs in a file, one a line; lines that begin with # are comments.

    Raises:
        WeakFileError: Somebody else may change it.
        SecretFileError: It cannot be read, or has no URL.
    """
    try:
        content = read_secret(Path(file)).decode()
    except WeakFileError:
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SecretFileError(f"its file with the URL cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise SecretFileError("its file with the URL is not UTF-8") from None
    lines = [line.strip() for line in content.splitlines()]
    urls = [line for line in lines if line and not line.startswith("#")]
    if not urls:
        raise SecretFileError("its file has no URL")
    return urls


def _standard_output() -> TextIO:
    """Return standard output; what libraries print goes nowhere from now on."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 1)
    os.close(null)
    return output


def _write(output: TextIO, value: dict[str, object]) -> None:
    output.write(f"{json.dumps(value)}\n")
    output.flush()


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "accepted": answer.accepted,
        "problem": answer.problem,
        "fix": answer.fix,
        "refused": answer.refused,
    }
