"""Whether this runs in a container, where an operator has other commands than on a host.

What to do about an error names ``systemctl``, ``sudo`` or directives of a unit on a host, and
volumes, ports and users of the container in a container. A container that boots systemd (nspawn,
LXC) is a host in this sense.

Sources: https://systemd.io/CONTAINER_INTERFACE ($container), podman-run(1) (/run/.containerenv),
Docker (/.dockerenv), Kubernetes ($KUBERNETES_SERVICE_HOST).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKERS: Final = ("run/.containerenv", ".dockerenv")

# Set once, by the command line: a library that is imported decides nothing by itself.
in_container = False


def is_container(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process runs in a container without a service manager.

    Args:
        root: Where the file system begins.
        environment: Of this process. ``container`` decides where it is set; empty means none.
    """
    environment = os.environ if environment is None else environment
    if (root / "run/systemd/system").is_dir():
        return False
    if "container" in environment:
        return bool(environment["container"])
    return "KUBERNETES_SERVICE_HOST" in environment or any(
        (root / marker).exists() for marker in _MARKERS
    )


def fix_for(*, host: str, container: str) -> str:
    """The words of the two that an operator can follow here."""
    return container if in_container else host
