"""The answers of the dyndns2 protocol, in words. Pure.

The protocol is described at help.dyn.com ("Return Codes"): one line for a host, whose first word is
the code. After a refusal a client must not try again until a person has corrected something, and
after ``dnserr`` or ``911`` no earlier than half an hour later. ``nochg`` is a success that counts
towards a block. Services add codes of their own; an unknown one is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gatecert.errors import (
    DdnsBlockedError,
    DdnsError,
    DdnsRefusedError,
    DdnsUnreachableError,
    clean,
)

CHANGED: Final = "good"
UNCHANGED: Final = "nochg"
SERVER_TROUBLE: Final = {
    "dnserr": "has a DNS error on its side",
    "911": "has a problem or is under maintenance",
    "servererror": "has an internal error",
}
PAUSE: Final = 1800.0  # seconds: "wait 30 minutes or more"
BLOCKS: Final = {"abuse"}
LONGEST_ANSWER: Final = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meaning of a code.

    Attributes:
        meaning: Follows the name of the service; ``{name}`` is the hostname.
        fix: ``{here}`` is the place of the settings in the configuration.
    """

    meaning: str
    fix: str


REFUSALS: Final = {
    "badauth": Refusal(
        "does not accept the user name or the password",
        "correct {here}.username and the file of {here}.password_file",
    ),
    "!donator": Refusal(
        "offers this update to paying customers only",
        "remove the key that requires it (IPv6: {here}.records: [A]), or pay for it",
    ),
    "notfqdn": Refusal(
        "does not take {name} for a full domain name",
        "correct the gateway's hostname",
    ),
    "nohost": Refusal(
        "has no host {name} in this account",
        "create the host in your account there, or correct hostname and {here}.username",
    ),
    "!yours": Refusal(
        "has {name} in another account",
        "correct {here}.username, or the gateway's hostname",
    ),
    "numhost": Refusal(
        "takes {name} for a round-robin host, or too many hosts",
        "give the host one address of each kind, or create it anew in your account there",
    ),
    "badagent": Refusal(
        "does not accept gatecert as a client",
        "use another provider, and report it to the authors of gatecert",
    ),
    "badip": Refusal(
        "does not accept the address",
        "correct {here}.source, or limit {here}.records",
    ),
    "abuse": Refusal(
        "has blocked {name} because of too many or needless updates",
        "have the host unblocked in your account there, then run gatecert enroll for this gateway",
    ),
}


def read_answer(text: str, *, service: str, name: str, here: str) -> bool:
    """Read the answer to an update of one host.

    Args:
        text: The body of the response.
        service: For messages.
        name: The hostname.
        here: The place of the settings in the configuration.

    Returns:
        Whether the record changed.

    Raises:
        DdnsError: The service did not update it.
    """
    words = clean(text, LONGEST_ANSWER).split()
    code = words[0].lower() if words else ""
    if code == CHANGED and not _is_warning(words, name):
        return True
    if code == UNCHANGED:
        return False
    if code in SERVER_TROUBLE:
        raise DdnsUnreachableError(
            f"{service} {SERVER_TROUBLE[code]} ({code})",
            fix="no action needed; gatecert tries again in half an hour",
            pause=PAUSE,
        )
    raise refusal(code, " ".join(words), service=service, name=name, here=here)


def refusal(code: str, answer: str, *, service: str, name: str, here: str) -> DdnsError:
    """Return the error for a code that means that nothing was updated.

    Args:
        code: Lower case.
        answer: The whole answer, cleaned.
        service: For messages.
        name: The hostname.
        here: The place of the settings in the configuration.
    """
    known = REFUSALS.get(code)
    if known is None:
        return DdnsRefusedError(
            f'{service} answers "{answer}", which is no answer of the dyndns2 protocol, so the '
            f"address of {name} was not updated",
            fix=f"check {here}.service or {here}.url, and what the answer means there",
        )
    error = DdnsBlockedError if code in BLOCKS else DdnsRefusedError
    return error(
        f"{service} {known.meaning.format(name=name)} ({answer})", fix=known.fix.format(here=here)
    )


def _is_warning(words: list[str], name: str) -> bool:
    """Check for ``good 127.0.0.1``, with which Dyn ignores an update of a client it dislikes."""
    return words[1:] == ["127.0.0.1"] and not name.endswith("localhost")
