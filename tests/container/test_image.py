"""The image contains what its bill of materials lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from harness.container import Podman

IMAGE = "localhost/gatecert"
LIST = """
import importlib.metadata, json, pathlib
print(json.dumps({
    "installed": [
        (each.name, each.version)
        for each in importlib.metadata.distributions(path=["/opt/gatecert"])
    ],
    "bill": json.loads(pathlib.Path("/opt/gatecert/gatecert.cdx.json").read_text("utf-8")),
}))
"""


def test_the_bill_of_materials_lists_every_package_and_nothing_else(podman: Podman) -> None:
    ended = podman.last("--entrypoint=python3", IMAGE, "-c", LIST)
    assert ended.exit_code == 0, ended.errors
    found = json.loads(ended.output)
    listed = [(each["name"], each["version"]) for each in found["bill"]["components"]]
    installed = [(canonicalize_name(name), version) for name, version in found["installed"]]
    assert sorted(listed) == sorted(installed)
