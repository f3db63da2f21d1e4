"""container/pod.yaml, run by podman as a node would: an unknown key is an error.

This module acts as the node: the volume belongs to the pod's group (``fsGroup``), a ConfigMap is a
directory of files, and a process of the pod's own holds the process namespace that its containers
share. Ports of the node are the containers' own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.container import IMAGES, Container, Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.container import Podman

LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
CARRIED_OUT_ELSEWHERE = {"name", "image", "command", "ports", "restartPolicy", "startupProbe"}
PAUSE = (
    "import signal;"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
    "signal.signal(signal.SIGTERM, lambda *_: exit());"
    "signal.pause()"
)


class Pod:
    """The containers of one pod.

    Args:
        podman: Runs them.
        specification: The pod's ``spec``.
        settings: The ConfigMap's ``data``.
        directory: For the pod's volumes.
        more: Further options of podman for every container.
    """

    def __init__(
        self,
        podman: Podman,
        specification: Mapping[str, Any],
        settings: Mapping[str, str],
        directory: Path,
        *more: str,
    ) -> None:
        self._podman = podman
        self._pod = specification
        self._more = more
        security = specification["securityContext"]
        self._user = f"{security['runAsUser']}:{security['runAsGroup']}"
        self._group = int(security["fsGroup"])
        self._volumes = {
            volume["name"]: self._provide(volume, settings, directory)
            for volume in specification["volumes"]
        }

    @property
    def state(self) -> Path:
        """The claimed volume."""
        (found,) = (
            self._volumes[volume["name"]]
            for volume in self._pod["volumes"]
            if "persistentVolumeClaim" in volume
        )
        return Path(found)

    def sidecar(self) -> Sidecar:
        """The container that starts first and keeps running."""
        (container,) = self._pod["initContainers"]
        assert container["restartPolicy"] == "Always"
        return Sidecar(self._podman, *self._parts(container), state=self.state)

    def gateway(self) -> Container:
        """The container that starts after the sidecar."""
        (container,) = self._pod["containers"]
        return Container(self._podman, *self._parts(container))

    def startup_probe(self) -> Sequence[str]:
        """The command of the startup probe."""
        (container,) = self._pod["initContainers"]
        return list(container["startupProbe"]["exec"]["command"])

    def share_processes(self) -> None:
        """Start the process that keeps the shared namespace."""
        assert self._pod["shareProcessNamespace"] is True
        argv = json.dumps(["python3", "-c", PAUSE])
        Container(self._podman, "pause", "localhost/base", [f"--entrypoint={argv}"]).start()

    def _provide(
        self, volume: Mapping[str, Any], settings: Mapping[str, str], directory: Path
    ) -> str:
        path = directory / volume["name"]
        if "emptyDir" in volume:
            return ""
        path.mkdir(parents=True)
        if "configMap" in volume:
            for name, content in settings.items():
                (path / name).write_text(content, "utf-8")
        else:
            os.chown(path, 0, self._group)
            path.chmod(0o2775)
        return str(path)

    def _parts(self, container: Mapping[str, Any]) -> tuple[str, str, list[str], list[str]]:
        options = [*self._options(container), "--pid=container:pause", *self._more]
        if "command" in container:
            options.append(f"--entrypoint={json.dumps(container['command'])}")
        return container["name"], IMAGES[container["image"]], options, []

    def _options(self, container: Mapping[str, Any]) -> Iterator[str]:
        yield f"--user={self._user}"
        yield f"--group-add={self._group}"
        for key, value in container.items():
            match key, value:
                case "securityContext", dict():
                    assert value == LOCKED
                    yield "--security-opt=no-new-privileges"
                    yield "--read-only"
                    yield "--read-only-tmpfs=false"
                    yield "--cap-drop=ALL"
                case "volumeMounts", list():
                    yield from map(self._mount, value)
                case _ if key not in CARRIED_OUT_ELSEWHERE:
                    raise AssertionError(f"{key}: {value} is not carried out")

    def _mount(self, mount: Mapping[str, Any]) -> str:
        source, path = self._volumes[mount["name"]], mount["mountPath"]
        if not source:
            return f"--tmpfs={path}"
        if "subPath" in mount:
            source = f"{source}/{mount['subPath']}"
        return f"--volume={source}:{path}{':ro' if mount.get('readOnly') else ''}"
