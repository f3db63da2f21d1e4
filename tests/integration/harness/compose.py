"""container/compose.yaml, run by podman: every key is honoured, unknown keys are errors.

There is no network of an orchestrator: services share the machine's, where each
service's name resolves to 127.0.0.1, and published ports equal the inner ones.
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
        directory: Base of relative paths.
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
        """The gatecert service."""
        return Sidecar(self._podman, name, *self._parts(name))

    def service(self, name: str) -> Container:
        """Another service."""
        return Container(self._podman, name, *self._parts(name))

    def waits_for_health_of(self, name: str) -> list[str]:
        """Return the services that must be healthy before this one starts."""
        needed: dict[str, dict[str, str]] = self._services[name].get("depends_on", {})
        return [other for other, how in needed.items() if how == {"condition": "service_healthy"}]

    def published(self, name: str) -> list[tuple[int, int]]:
        """Return the published and the inner ports."""
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
                case "ulimits", dict():
                    yield from (f"--ulimit={name}={most}:{most}" for name, most in value.items())
                case "volumes", list():
                    yield from (f"--volume={self._mounted(one)}" for one in value)
                case "restart", "unless-stopped":
                    pass  # tests stop and start containers themselves
                case _ if key not in CARRIED_OUT_ELSEWHERE:
                    raise AssertionError(f"{key}: {value} is not carried out")

    def _mounted(self, volume: str | Mapping[str, Any]) -> str:
        match volume:
            case {
                "type": "volume",
                "source": name,
                "target": target,
                "read_only": True,
                "volume": {"subpath": within, **no_more_of_it},
                **no_more,
            } if not no_more and not no_more_of_it:  # as of Docker, it must exist
                return f"{(self._podman.volume(name) / within).resolve(strict=True)}:{target}:ro"
            case str():
                source, rest = volume.split(":", 1)
            case _:
                raise AssertionError(f"{volume} is not carried out")
        if source in self._volumes:
            return volume
        path = (self._directory / source).resolve(strict=True)
        return f"{path}:{rest}"
