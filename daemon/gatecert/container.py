"""Detection of containers, where fixes differ from those on a host.

On a host, the fix of an error names ``systemctl``, ``sudo`` or directives of a unit; in a container
it names volumes, ports and users of the container. A container that boots systemd (nspawn, LXC)
counts as a host.

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

# Set once, by the command line; importing this module changes nothing.
in_container = False


def is_container(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether this process runs in a container without a service manager.

    Args:
        root: The root of the file system.
        environment: Of this process. If ``container`` is set, it decides; empty means no container.
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
    """Return the fix that applies here."""
    return container if in_container else host
