"""Secrets, read from the files that the configuration names each time they are needed.

Neither what a file holds nor what it is called is repeated: where somebody wrote the secret itself
in place of a file, the message must not spread it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.errors import ProviderNotContactedError

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE: Final = 64 << 10  # bytes


def read_secret(path: Path, key: str) -> str:
    """What a file holds, without white space around it and a byte order mark in front.

    Args:
        path: The file.
        key: The key of the configuration that names it.

    Raises:
        ProviderNotContactedError: It cannot be read, is empty, or holds no text.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE).decode("utf-8-sig").strip()
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ProviderNotContactedError(
            f"the file that {key} names cannot be read: {reason}",
            fix=container.fix_for(
                host="let the user that gatecert runs as read it, or use credential:NAME",
                container=f"mount it so that user {os.geteuid()} of the container can read it",
            ),
        ) from error
    except UnicodeDecodeError:
        # Without its cause, which would show what the file holds.
        raise ProviderNotContactedError(
            f"the file that {key} names holds no text",
            fix="put the secret, and nothing else, into it",
        ) from None
    if not text:
        raise ProviderNotContactedError(
            f"the file that {key} names is empty", fix="put the secret into it"
        )
    return text
