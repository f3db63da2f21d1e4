"""container/compose.yaml, carried out by podman: each key of it counts, unknown ones are errors.

What an orchestrator's own network would do is left out: services share the machine's, where each
service's name leads to 127.0.0.1, and published ports are the inner ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.container import IMAGES, Container, Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.container import Podman

CARRIED_OUT_ELSEWHERE = {"build", "image", "command", "depends_on", "ports"}


class Compose:
    """The services of one compose file.

    Args:
        podman: Runs them.
        document: The file.
        directory: What relative paths in it start from.
        more: Further options of podman for every service.
    """

    def __init__(
        self, podman: Podman, document: Mapping[str, Any], directory: Path, *more: str
    ) -> None:
        self._podman = podman
        self._services = document["services"]
        self._volumes = set(document["volumes"])
        self._directory = directory
        hosts = [f"--add-host={name}:127.0.0.1" for name in self._services]
        self._more = [*hosts, *more]

    def sidecar(self, name: str) -> Sidecar:
        """The service that is gatecert."""
        return Sidecar(self._podman, name, *self._parts(name))

    def service(self, name: str) -> Container:
        """Any other."""
        return Container(self._podman, name, *self._parts(name))

    def waits_for_health_of(self, name: str) -> list[str]:
        """The services that have to be healthy before this one is started."""
        needed: dict[str, dict[str, str]] = self._services[name].get("depends_on", {})
        return [other for other, how in needed.items() if how == {"condition": "service_healthy"}]

    def published(self, name: str) -> list[tuple[int, int]]:
        """Ports as the world and as the container sees them."""
        pairs = [pair.split(":") for pair in self._services[name].get("ports", [])]
        return [(int(outer), int(inner)) for outer, inner in pairs]

    def _parts(self, name: str) -> tuple[str, list[str], list[str]]:
        service = self._services[name]
        options = [*self._options(service), *self._more]
        return IMAGES[service["image"]], options, list(service.get("command", []))

    def _options(self, service: Mapping[str, Any]) -> Iterator[str]:
        for key, value in service.items():
            match key, value:
                case "user", str():
                    yield f"--user={value}"
                case "read_only", True:
                    yield "--read-only"
                    yield "--read-only-tmpfs=false"
                case (("cap_drop" | "security_opt" | "tmpfs"), list()):
                    option = key.replace("_", "-")
                    yield from (f"--{option}={one}" for one in value)
                case "volumes", list():
                    yield from (f"--volume={self._mounted(one)}" for one in value)
                case "restart", "unless-stopped":
                    pass  # tests end and start containers themselves
                case _ if key not in CARRIED_OUT_ELSEWHERE:
                    raise AssertionError(f"{key}: {value} is not carried out")

    def _mounted(self, volume: str) -> str:
        source, rest = volume.split(":", 1)
        if source in self._volumes:
            return volume
        path = (self._directory / source).resolve(strict=True)
        return f"{path}:{rest}"
