"""Detection of containers, and fixes without host-only commands in containers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gatecert
from gatecert import container
from gatecert.challenge import webroot
from gatecert.container import fix_for, is_container
from gatecert.doctor import codes
from gatecert.errors import ChallengeError
from gatecert.store.storage_errors import storage_error

SOURCES = Path(gatecert.__file__).parent
ONLY_ON_A_HOST = re.compile(
    r"systemctl|journalctl|timedatectl|\bsudo\b|ReadWritePaths|AmbientCapabilities|LimitNOFILE"
    r"|SupplementaryGroups|gatecert-reload@|gatecert-http\.socket"
)
# Examples in the references, which are the same everywhere.
EXAMPLES = {
    "cli/command_reference.py",
    "config/extension.py",
    "config/key_reference.py",
    "config/paths.py",
    "monitoring/metric_reference.py",
}
# The names of programs that run others.
PROGRAMS = {"trusted_files.py"}
# They set up services of a host, or explain entries of its journal.
OF_A_HOST = ("setup/", "adoption/", "cli/init_", "cli/adopt_", "doctor/message_catalogue.py")
# They speak only of units that systemd has shown, which it does not in a container.
OF_SYSTEMD = {"deploy/reload_unit.py", "deploy/unit_properties.py", "doctor/reload_commands.py"}


@pytest.mark.parametrize(
    ("files", "environment", "expected"),
    [
        ((), {}, False),
        (("run/.containerenv",), {}, True),
        ((".dockerenv",), {}, True),
        ((), {"KUBERNETES_SERVICE_HOST": "192.0.2.1"}, True),
        ((), {"container": "podman"}, True),
        ((".dockerenv",), {"container": ""}, False),
        ((".dockerenv", "run/systemd/system/"), {"container": "lxc"}, False),
        (("run/systemd/system/",), {}, False),
    ],
)
def test_a_container_is_detected_unless_systemd_runs(
    files: tuple[str, ...],
    environment: dict[str, str],
    expected: bool,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(parents=True) if name.endswith("/") else path.touch()

    assert is_container(tmp_path, environment) is expected


def test_fixes_fit_the_host_or_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read_only = OSError(30, "Read-only file system")
    missing = tmp_path / "missing"

    def fixes() -> list[str]:
        with pytest.raises(ChallengeError) as refused:
            webroot.publish(missing, "token", "token.thumb")
        return [
            fix_for(host="on the host", container="in the container"),
            codes.DAEMON_STOPPED.found("nobody").fix,
            codes.CLOCK_WRONG.found("late").fix,
            codes.CONFIGURATION.found("bad").fix,
            storage_error(read_only, "write", Path("/etc/haproxy/boston.pem")).fix,
            refused.value.fix,
        ]

    on_host = fixes()
    monkeypatch.setattr(container, "in_container", True)
    in_container = fixes()

    assert on_host[0] == "on the host"
    assert "systemctl start gatecert" in on_host[1]
    assert "timedatectl" in on_host[2]
    assert "ReadWritePaths=/etc/haproxy" in on_host[4]
    assert in_container[0] == "in the container"
    assert in_container[3] == on_host[3] != ""
    assert "mount a volume at /etc/haproxy" in in_container[4]
    assert "volume" in in_container[5]
    assert not [fix for fix in in_container if ONLY_ON_A_HOST.search(fix)]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in (str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py"))
        if name not in EXAMPLES | OF_SYSTEMD | PROGRAMS and not name.startswith(OF_A_HOST)
    ],
)
def test_host_only_commands_have_a_text_for_containers(name: str) -> None:
    tree = ast.parse((SOURCES / name).read_text("utf-8"))
    covered = {id(node) for part in documented(tree) for node in ast.walk(part)}

    named = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in covered and ONLY_ON_A_HOST.search(node.value)
    ]

    assert named == []


def documented(tree: ast.Module) -> list[ast.AST]:
    """Return docstrings, and calls that give texts for both."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                found.append(node)
            case ast.Call(keywords=keywords):
                names = {keyword.arg for keyword in keywords}
                if {"host", "container"} <= names or "fix_in_container" in names:
                    found.append(node)
    return found
