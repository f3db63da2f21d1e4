"""The files below the state directory and their permissions.

::

    STATE/                                          0700
      lock  schedule.json  monitoring.json          0600
      notifications.json                            0600
      accounts/<authority>/{key.pem,account.json}   0700, files 0600
      challenges/<token>                            0700, files 0600; for tls-alpn-01 TYPE.<token>
      spending/<authority's host>-<digest>.jsonl    0700, files 0600
      spending/directories.json                     0600, in a fleet
      records/<id>.json                             0700, files 0600
      revocation-lists/<digest>.{crl,json}          0700, files 0600
      gateways/                                     0700
        <name>/                                     0700 or 0750
          lock  state.json                          0600
          removed-generation.json                   0600, in a fleet
          shared-before.json                        0600, while its database is away
          reserve.json                              0600, in a fleet
          versions/<id>/…                           0700 or 0750, files 0600 or 0640
          requests/<id>/…                           0700, files 0600

The ``key_group`` of a gateway can read its versions: ``<name>``, ``versions`` and ``<id>`` belong
to the group (0750). ``gateways`` belongs to the group of the first such gateway; for other groups
it gets ``o+x``, so that everybody can traverse but not list it. STATE keeps its group and gets
``o+x`` (0701): systemd changes the group of everything below a StateDirectory= whose group is not
the unit's. A unit whose gateways share keys sets ``StateDirectoryMode=0711``.
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

LONGEST_NAME = 200  # bytes; file systems allow 255, and damaged files get a suffix


def is_safe_name(name: str) -> bool:
    """Check that a name can be used as a directory entry.

    It must not be hidden, contain a slash or control characters, or be too long.
    """
    return (
        0 < len(name.encode(errors="replace")) <= LONGEST_NAME
        and not name.startswith(".")
        and "/" not in name
        and not any(unicodedata.category(character)[0] == "C" for character in name)
    )


def safe_name(name: str) -> str:
    """Return the name.

    Raises:
        ValueError: It cannot be used as a directory entry.
    """
    if not is_safe_name(name):
        raise ValueError(f"{name!r} cannot be the name of a directory entry")
    return name


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below a state directory.

    Attributes:
        state: The state directory, absolute.
    """

    state: Path

    @property
    def lock(self) -> Path:
        """The lock that the running daemon holds."""
        return self.state / "lock"

    @property
    def changed(self) -> Path:
        """The names of gateways that commands have changed beside the daemon."""
        return self.state / "changed"

    @property
    def schedule(self) -> Path:
        """When each gateway that is in order is due next."""
        return self.state / "schedule.json"

    @property
    def monitoring(self) -> Path:
        """The status of metrics, page and notifications."""
        return self.state / "monitoring.json"

    @property
    def challenges(self) -> Path:
        """Key authorizations by token."""
        return self.state / "challenges"

    @property
    def records(self) -> Path:
        """Published TXT records that have to be withdrawn."""
        return self.state / "records"

    @property
    def rate_limit_usage(self) -> Path:
        """Requests counted towards rate limits, one file per ACME directory URL."""
        return self.state / "spending"

    @property
    def counted_directories(self) -> Path:
        """The ACME directory URLs of these files, for a host of a fleet."""
        return self.rate_limit_usage / "directories.json"

    @property
    def revocation_lists(self) -> Path:
        """Downloaded CRLs, by the digest of their URLs."""
        return self.state / "revocation-lists"

    @property
    def gateways(self) -> Path:
        """The parent of the gateways' directories."""
        return self.state / "gateways"

    def account(self, authority: str) -> Path:
        """Return the directory of the account at a CA."""
        return self.state / "accounts" / safe_name(authority)

    def gateway(self, name: str) -> Path:
        """Return the directory of a gateway."""
        return self.gateways / safe_name(name)

    def gateway_lock(self, name: str) -> Path:
        """Return the lock that protects changes to a gateway."""
        return self.gateway(name) / "lock"

    def gateway_state(self, name: str) -> Path:
        """Return the file with a gateway's state."""
        return self.gateway(name) / "state.json"

    def versions(self, name: str) -> Path:
        """Return the directory of a gateway's versions."""
        return self.gateway(name) / "versions"

    def removed_generation(self, name: str) -> Path:
        """Return the file with the greatest generation of a cluster that was removed."""
        return self.gateway(name) / "removed-generation.json"

    def shared_before(self, name: str) -> Path:
        """Return the file with the shared state from which this host alone has gone on."""
        return self.gateway(name) / "shared-before.json"

    def version(self, name: str, version_id: str) -> Path:
        """Return the directory of one version."""
        return self.versions(name) / safe_name(version_id)

    def reserve(self, name: str) -> Path:
        """Return the file with the order that is reserved for this host of a cluster."""
        return self.gateway(name) / "reserve.json"

    def requests(self, name: str) -> Path:
        """Return the directory of the keys that wait for their certificates."""
        return self.gateway(name) / "requests"

    def make(self, directory: Path) -> None:
        """Create a directory (0700) unless it exists."""
        durable.make_directory(directory, mode=PRIVATE_DIRECTORY)

    def grant_group_access(self, gateway: str, group: str) -> None:
        """Give a group access to the versions of a gateway.

        Raises:
            StorageError: The permissions cannot be changed.
        """
        durable.grant_group_access(self.state, group, give=False)
        for directory in (self.gateways, self.gateway(gateway), self.versions(gateway)):
            durable.grant_group_access(directory, group, give=True)


class StateFiles:
    """Base of the classes that each store one kind of data below a state directory.

    Threads may share an instance.

    Args:
        state_directory: Created on the first write. A relative path is made absolute.
    """

    def __init__(self, state_directory: Path) -> None:
        self._layout = Layout(state_directory.absolute())
        self._reported: set[Path] = set()  # damaged directories, each logged once

    @property
    def directory(self) -> Path:
        """The state directory, absolute."""
        return self._layout.state
