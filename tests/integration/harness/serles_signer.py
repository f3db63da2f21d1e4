"""The signer of Serles; it runs in that CA's virtual environment."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Signer:
    """A backend of Serles: ``openssl ca`` with the names of the request.

    Args:
        config: Serles' configuration by section and key.
    """

    def __init__(self, config: Mapping[str, Mapping[str, str]]) -> None:
        self._configuration = Path(config["signer"]["configuration"])

    def sign(
        self,
        csr: bytes,
        subjectDN: str,  # noqa: ARG002, N803 - the interface is Serles'
        subjectAltNames: list[str],  # noqa: ARG002, N803
        email: str,  # noqa: ARG002
    ) -> tuple[str, str | None]:
        """Return the signed certificate with its chain (PEM), and an error message."""
        signed = subprocess.run(
            [
                *("openssl", "ca", "-batch", "-notext", "-days", "30"),
                *("-config", str(self._configuration), "-in", "/dev/stdin"),
            ],
            input=csr,
            check=False,
            capture_output=True,
        )
        if signed.returncode != 0:
            return "", signed.stderr.decode()
        chain = self._configuration.with_name("chain.pem").read_text("ascii")
        return signed.stdout.decode("ascii") + chain, None
