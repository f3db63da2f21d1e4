"""Where everything lies below the state directory, and who may enter.

::

    STATE/                                          0700
      lock                                          0600
      accounts/<authority>/{key.pem,account.json}   0700, files 0600
      challenges/<token>                            0700, files 0600
      spending/<authority's host>-<digest>.json     0700, files 0600
      records/<id>.json                             0700, files 0600
      revocation-lists/<digest>.{crl,json}          0700, files 0600
      gateways/                                     0700
        <name>/                                     0700 or 0750
          lock  state.json                          0600
          versions/<id>/…                           0700 or 0750, files 0600 or 0640
          requests/<id>/…                           0700, files 0600

A gateway with a ``key_group`` lets that group read its versions: ``<name>``, ``versions`` and
``<id>`` belong to the group (0750), and so does ``gateways`` if no other gateway's group came
first; else everybody may pass through ``gateways`` without listing it. STATE itself never changes
its group, because systemd, on finding a StateDirectory= with another group than the unit's, gives
all that lies below it back to the unit's: STATE gets ``o+x`` (0701), and what lies in it guards
itself. A unit whose gateways share keys says ``StateDirectoryMode=0711``.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from gatecert.store import durable

PRIVATE_FILE = 0o600
GROUP_FILE = 0o640
PRIVATE_DIRECTORY = 0o700
GROUP_DIRECTORY = 0o750

LONGEST_NAME = 200  # bytes; file systems allow 255, and files set aside get longer names


def is_safe_name(name: str) -> bool:
    """Whether a name can stand for itself as one directory entry.

    It may not be hidden, lead elsewhere, or hold anything that cannot be shown on one line.
    """
    return (
        0 < len(name.encode(errors="replace")) <= LONGEST_NAME
        and not name.startswith(".")
        and "/" not in name
        and not any(unicodedata.category(character)[0] == "C" for character in name)
    )


def safe_name(name: str) -> str:
    """The same name.

    Raises:
        ValueError: It cannot stand for itself as one directory entry.
    """
    if not is_safe_name(name):
        raise ValueError(f"{name!r} cannot be the name of a directory entry")
    return name


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one state directory.

    Attributes:
        state: The state directory, absolute.
    """

    state: Path

    @property
    def lock(self) -> Path:
        """Held by the one daemon of this state directory."""
        return self.state / "lock"

    @property
    def challenges(self) -> Path:
        """Key authorizations by token."""
        return self.state / "challenges"

    @property
    def records(self) -> Path:
        """TXT records that were published and have to be withdrawn."""
        return self.state / "records"

    @property
    def rate_limit_usage(self) -> Path:
        """What was asked of each authority, one file a directory URL."""
        return self.state / "spending"

    @property
    def revocation_lists(self) -> Path:
        """Revocation lists by the digest of their URLs."""
        return self.state / "revocation-lists"

    @property
    def gateways(self) -> Path:
        """One directory a gateway."""
        return self.state / "gateways"

    def account(self, authority: str) -> Path:
        """Directory of the account at an authority."""
        return self.state / "accounts" / safe_name(authority)

    def gateway(self, name: str) -> Path:
        """Directory of a gateway."""
        return self.gateways / safe_name(name)

    def gateway_lock(self, name: str) -> Path:
        """Held by whoever changes a gateway."""
        return self.gateway(name) / "lock"

    def gateway_state(self, name: str) -> Path:
        """What is remembered of a gateway between passes."""
        return self.gateway(name) / "state.json"

    def versions(self, name: str) -> Path:
        """Directory of a gateway's versions."""
        return self.gateway(name) / "versions"

    def requests(self, name: str) -> Path:
        """Directory of the keys that wait for their certificates."""
        return self.gateway(name) / "requests"

    def make(self, directory: Path) -> None:
        """Make a directory below STATE, closed to everybody else, if it is missing."""
        durable.make_directory(directory, mode=PRIVATE_DIRECTORY)

    def admit(self, gateway: str, group: str) -> None:
        """Let a group reach the versions of a gateway.

        Raises:
            StorageError: The directories cannot be given to the group.
        """
        durable.grant_group_access(self.state, group, give=False)
        for directory in (self.gateways, self.gateway(gateway), self.versions(gateway)):
            durable.grant_group_access(directory, group, give=True)
