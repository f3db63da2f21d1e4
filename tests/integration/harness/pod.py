"""container/pod.yaml, run by podman as a node would: an unknown key is an error.

This module acts as the node: the volume's top directory belongs to the pod's group (``fsGroup``),
and what is in it keeps its permissions (``fsGroupChangePolicy: OnRootMismatch``). A ConfigMap is a
directory of files. Ports of the node are the containers' own.
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
OF_THE_POD = {
    "automountServiceAccountToken": False,
    "terminationGracePeriodSeconds": 15,
}
SECURITY_OF_THE_POD = {
    "runAsNonRoot": True,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
PARTS = {"securityContext", "initContainers", "containers", "volumes"}


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
        security = dict(specification["securityContext"])
        self._group, self._members = security.pop("runAsGroup"), int(security.pop("fsGroup"))
        assert security == SECURITY_OF_THE_POD
        assert specification == {name: specification[name] for name in PARTS} | OF_THE_POD
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
            os.chown(path, 0, self._members)
            path.chmod(0o2775)
        return str(path)

    def _parts(self, container: Mapping[str, Any]) -> tuple[str, str, list[str], list[str]]:
        options = [*self._options(container), *self._more]
        if "command" in container:
            options.append(f"--entrypoint={json.dumps(container['command'])}")
        return container["name"], IMAGES[container["image"]], options, []

    def _options(self, container: Mapping[str, Any]) -> Iterator[str]:
        yield f"--group-add={self._members}"
        for key, value in container.items():
            match key, value:
                case "securityContext", {"runAsUser": user, **locked}:
                    assert locked == LOCKED
                    yield f"--user={user}:{self._group}"
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
