"""Recognition of the client that a directory belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.adoption import acme_sh, caddy, certbot, lego
from gatecert.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.adoption.found import FoundState


class Reader(NamedTuple):
    """The reader of one client's directory."""

    recognises: Callable[[Path], bool]
    read_state: Callable[[Path], FoundState]


CLIENTS: Final = tuple(
    Reader(each.recognises, each.read_state) for each in (certbot, acme_sh, lego, caddy)
)
BELOW: Final = ("", ".acme.sh", ".lego", "caddy", ".local/share/caddy", "letsencrypt")
OTHERS: Final = {
    "dehydrated": ("domains.txt",),
    "dehydrated or getssl": ("certs", "accounts"),
    "Apache's mod_md": ("md_store.json",),
    "Traefik": ("acme.json",),
    "uacme": ("private/key.pem",),
}
"""Files by which the directories of other clients are recognised."""


def read_client(directory: Path) -> FoundState:
    """Read the state of whatever client a directory belongs to.

    Args:
        directory: The client's directory, or the home directory around it.

    Raises:
        WrongUsageError: It is not the directory of a client that can be read.
    """
    try:
        if not directory.is_dir():
            what = "is not a directory" if directory.exists() else "does not exist"
            raise WrongUsageError(
                f"{directory} {what}", fix="name the directory of the other client"
            )
        next(directory.iterdir(), None)
    except PermissionError as error:
        raise WrongUsageError(
            f"{directory} cannot be read: permission denied", fix="run the command as root"
        ) from error
    except OSError as error:
        raise WrongUsageError(f"{directory} cannot be read: {error.strerror}") from error
    state = _read(directory)
    if state is None:
        raise _unknown(directory)
    return state


def _read(directory: Path) -> FoundState | None:
    """Return the state in a directory; None if it is that of no client that can be read.

    Raises:
        WrongUsageError: A directory cannot be read.
    """
    try:
        for path in dict.fromkeys(directory / below for below in BELOW):
            for client in CLIENTS:
                if client.recognises(path):
                    return client.read_state(path)
    except OSError as error:  # a file that cannot be read is refused alone
        fix = "run the command as root" if isinstance(error, PermissionError) else ""
        raise WrongUsageError(
            f"{error.filename} cannot be read: {(error.strerror or '').lower()}",
            fix=fix,
        ) from error
    return None


def _unknown(directory: Path) -> WrongUsageError:
    known = "certbot (/etc/letsencrypt), acme.sh (~/.acme.sh), lego (.lego) or Caddy"
    known += " (/var/lib/caddy/.local/share/caddy)"
    if next(directory.iterdir(), None) is None:
        return WrongUsageError(f"{directory} is empty", fix=f"name the directory of {known}")
    for client, files in OTHERS.items():
        if all((directory / name).exists() for name in files):
            return WrongUsageError(
                f"{directory} looks like the directory of {client}, which adopt cannot read",
                fix="enrol anew with gatecert init; its certificates stay in use until then",
            )
    return WrongUsageError(
        f"{directory} is not the directory of a known ACME client", fix=f"name that of {known}"
    )
