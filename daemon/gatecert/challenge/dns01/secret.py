"""Secrets, read from the configured files each time they are needed.

Messages contain neither the content nor the path of a file: an operator may have configured the
secret itself in place of a path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gatecert import container, trusted_files
from gatecert.errors import ProviderNotContactedError
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from pathlib import Path


def read_secret(path: Path, key: str) -> str:
    """Return the content of a file without surrounding white space and byte order mark.

    Args:
        path: The file.
        key: Its configuration key, for messages.

    Raises:
        ProviderNotContactedError: It cannot be read, is empty, or is not text.
    """
    try:
        text = trusted_files.read_secret(path).decode("utf-8-sig").strip()
    except WeakFileError as error:
        raise ProviderNotContactedError(
            f"the file of {key} is not used: it {error.weakness}", fix=error.fix
        ) from error
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ProviderNotContactedError(
            f"the file of {key} cannot be read: {reason}",
            fix=container.fix_for(
                host="make it readable for the user that gatecert runs as, or use credential:NAME",
                container=f"mount it so that user {os.geteuid()} of the container can read it",
            ),
        ) from error
    except UnicodeDecodeError:
        # Without its cause, which would show the content of the file.
        raise ProviderNotContactedError(
            f"the file of {key} is not text", fix="write only the secret into it"
        ) from None
    if not text:
        raise ProviderNotContactedError(
            f"the file of {key} is empty", fix="write the secret into it"
        )
    return text
