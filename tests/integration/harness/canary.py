"""Secrets that are found wherever they appear, in every encoding."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

SHORTEST: Final = 8  # octets; shorter matches could be chance
LOOK_SECONDS: Final = 0.02


def forms(secret: bytes) -> dict[str, bytes]:
    """Return the encodings of a secret."""
    found = {
        "raw": secret,
        "hexadecimal": secret.hex().encode(),
        "HEXADECIMAL": secret.hex().upper().encode(),
        "hexadecimal with colons": secret.hex(":").encode(),
        "a number": str(int.from_bytes(secret, "big")).encode(),
        "a repr": repr(secret)[2:-1].encode(),
        "a list": ", ".join(map(str, secret)).encode(),
        "a URL": quote(secret, safe="").encode(),
        "JSON": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
    }
    for offset in range(3):  # within longer data, base64 has three alignments
        padded = b"\0" * offset + secret
        whole = padded[: len(padded) // 3 * 3]
        begin = -(-offset * 8 // 6)
        found[f"base64 from {offset}"] = base64.b64encode(whole)[begin:]
        found[f"base64url from {offset}"] = base64.urlsafe_b64encode(whole)[begin:]
    return {name: form for name, form in found.items() if len(form) >= SHORTEST}


@dataclass
class Canaries:
    """Secrets by name, and where each was seen."""

    secrets: dict[str, bytes] = field(default_factory=dict, repr=False)

    def plant(self, name: str, secret: bytes) -> None:
        """Add a secret."""
        self.secrets[name] = secret

    def plant_key(self, path: Path) -> None:
        """Add a private key in PEM by its number, which every encoding contains."""
        key = load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        size = key.curve.key_size // 8
        self.plant(str(path), key.private_numbers().private_value.to_bytes(size, "big"))

    def found_in(self, data: bytes) -> list[str]:
        """Find the secrets in some octets, with their encodings."""
        joined = bytes(each for each in data if each not in b" \t\r\n")  # without line breaks
        unescaped = joined.replace(b"\\n", b"")
        return [
            f"{name} as {way}"
            for name, secret in self.secrets.items()
            for way, form in forms(secret).items()
            if form in data or form in joined or form in unescaped
        ]

    def found_below(self, directory: Path, belongs: Callable[[Path], bool]) -> list[str]:
        """Find the secrets in the files of a directory, except where they belong."""
        return [
            f"{path}: {what}"
            for path in sorted(directory.rglob("*"))
            if path.is_file() and not path.is_symlink() and not belongs(path)
            for what in self.found_in(path.read_bytes() + str(path).encode())
        ]


class ProcessWatch:
    """An observer of the arguments and environment of every process of this machine.

    Args:
        ours: Selects the processes to observe, by their arguments.
    """

    def __init__(self, ours: Callable[[bytes], bool]) -> None:
        self._ours = ours
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: dict[bytes, set[bytes]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def everything(self) -> bytes:
        """Return all arguments and environments."""
        return b"\n".join(
            arguments + b"\n" + environment
            for arguments, environments in self.seen.items()
            for environment in environments
        )

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for arguments, environment in _processes():
                if self._ours(arguments):
                    self.seen.setdefault(arguments, set()).add(environment)


def _processes() -> Iterator[tuple[bytes, bytes]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            yield (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:  # the process has ended
            continue


def variables(environment: bytes) -> Mapping[str, str]:
    """Return the environment of a process."""
    pairs = (each.partition("=") for each in environment.decode().split("\0") if each)
    return {name: value for name, _, value in pairs}
