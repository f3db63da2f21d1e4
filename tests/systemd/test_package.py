"""The package on a machine: installed, upgraded, removed, purged."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import threading
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

import pytest

from harness.machine.site import CONFIGURATION, LIVE

from .conftest import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.machine.booted import Machine
    from harness.machine.site import Site

    from .conftest import Figures, Installed

SERVICE = "gatecert.service"
DOCUMENTATION = "/usr/share/doc/gatecert"
FOR_SHELLS_AND_READERS = (
    "/usr/share/man/man1/gatecert.1.gz",
    "/usr/share/man/man5/gatecert-config.5.gz",
    "/usr/share/bash-completion/completions/gatecert",
    "/usr/share/zsh/vendor-completions/_gatecert",
    "/usr/share/fish/vendor_completions.d/gatecert.fish",
)
OLDER, NEWER = "0.0.1", "99.0.0"


@pytest.fixture(scope="session")
def newer_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a later version of the package, with different modules."""
    directory = tmp_path_factory.mktemp("newer")
    tree, built = directory / "tree", directory / "gatecert-newer.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    version = next(
        line.split()[1] for line in control.read_text().splitlines() if line.startswith("Version:")
    )
    module = tree / "usr/lib/gatecert/python/gatecert/__init__.py"
    for file in (control, module):
        file.write_text(file.read_text().replace(version, NEWER))
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, built],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return built


def install(machine: Machine, package: Path) -> str:
    """Install a package from the host, as an operator does."""
    shutil.copy(package, machine.root / "root/gatecert-newer.deb")
    return machine.must("apt-get", "install", "--yes", "/root/gatecert-newer.deb")


class Handshakes(threading.Thread):
    """Make handshakes with the gateway during the block."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site
        self._over = threading.Event()
        self.served: list[bytes | None] = []

    def run(self) -> None:
        while not self._over.wait(0.02):
            self.served.append(self._site.served(trusted=True))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join()


def test_one_command_installs_and_nothing_happens_without_a_configuration(
    installed: Installed, machine: Machine, figures: Figures
) -> None:
    assert installed.result.exit_code == 0, installed.result.errors
    figures.add(f"{installed.suite}: apt-get install", installed.seconds)

    machine.boot()

    machine.wait_idle()
    assert machine.shown(SERVICE, "UnitFileState") == "enabled"
    assert machine.shown(SERVICE, "ConditionResult") == "no"
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert "gatecert: " in machine.must("journalctl", "--list-catalog")
    assert machine.must("gatecert", "--help").startswith("Usage: gatecert")
    assert machine.must("stat", "--format=%a %U:%G", "/etc/gatecert") == "750 root:gatecert\n"
    assert (
        machine.must("stat", "--format=%a %U:%G", "/var/lib/gatecert") == "711 gatecert:gatecert\n"
    )
    assert machine.must("find", "/", "-xdev", "-nouser") == ""


@pytest.fixture
def dist() -> Iterator[Path]:
    """The directory of packages, whose hashes and files are restored."""
    dist = PROJECT / "dist"
    hashes = (dist / "SHA256SUMS").read_bytes()
    yield dist
    (dist / "SHA256SUMS").write_bytes(hashes)
    for file in dist.glob(f"gatecert_{OLDER}_*"):
        file.unlink()


@pytest.mark.on_one_debian
def test_the_build_shows_progress(installed: Installed, dist: Path, tmp_path: Path) -> None:
    assert installed.result.exit_code == 0
    packs_nothing = tmp_path / "dpkg-deb"  # takes the longest
    packs_nothing.write_text('#!/bin/sh\nfor package; do :; done\n: >"$package"\n')
    packs_nothing.chmod(0o755)

    built = subprocess.run(
        [PROJECT / "packaging/build"],
        env={**os.environ, "VERSION": OLDER, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    package = built.stdout.strip()
    assert package.startswith(f"dist/gatecert_{OLDER}_")
    told = built.stderr.splitlines()
    assert all(line.startswith("packaging/build: ") for line in told)
    hashes = [line.split() for line in (dist / "SHA256SUMS").read_text("utf-8").splitlines()]
    assert told[-4:] == [
        f"packaging/build: copying gatecert {OLDER} and its dependencies",
        f"packaging/build: packing {package}",
        *(f"packaging/build: sha256 {found} of dist/{name}" for found, name in hashes),
    ]


@pytest.mark.on_one_debian
def test_lintian_finds_nothing_to_complain_about(installed: Installed, package: Path) -> None:
    assert installed.result.exit_code == 0

    checked = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", package],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_every_page_is_installed_and_its_links_work(machine: Machine) -> None:
    machine.boot()

    told = shlex.split(machine.shown(SERVICE, "Documentation"))
    assert told[0] == "man:gatecert(1)"
    machine.must("test", "-s", told[1].removeprefix("file://"))
    for file in FOR_SHELLS_AND_READERS:
        machine.must("test", "-s", file)
    assert machine.must("head", "--lines=2", f"{DOCUMENTATION}/config.example.yaml")
    pages = machine.must("find", DOCUMENTATION, "-name", "*.md").split()
    assert f"{DOCUMENTATION}/docs/gateways/ocserv.md" in pages
    for page in pages:
        links = re.findall(r"\]\((?!https?:)([^)#]+)", machine.must("cat", page))
        if links:
            machine.must("ls", *(str(PurePosixPath(page).parent / link) for link in links))


def test_deleted_directories_are_created_at_boot(machine: Machine) -> None:
    machine.boot()
    machine.must("rm", "-rf", "/etc/gatecert", "/var/lib/gatecert")

    machine.reboot()
    machine.wait_idle()

    assert machine.must("stat", "--format=%a %U:%G", "/etc/gatecert") == "750 root:gatecert\n"
    assert (
        machine.must("stat", "--format=%a %U:%G", "/var/lib/gatecert") == "711 gatecert:gatecert\n"
    )


def test_an_upgrade_orders_nothing_and_loses_no_handshake(
    enrolled: Site, newer_package: Path
) -> None:
    machine = enrolled.machine
    before = enrolled.served(trusted=True)
    process = machine.shown(SERVICE, "MainPID")
    version = machine.must("readlink", LIVE)

    with Handshakes(enrolled) as handshakes:
        install(machine, newer_package)
        machine.wait_active(SERVICE)
        enrolled.wait_settled()

    assert len(handshakes.served) > 50
    assert set(handshakes.served) == {before}
    assert machine.shown(SERVICE, "MainPID") not in {"0", process}
    assert machine.must("gatecert", "--version").strip().endswith(NEWER)
    assert machine.must("readlink", LIVE) == version
    assert enrolled.pebble.orders() == 1


def test_remove_keeps_the_state_and_purge_deletes_it(enrolled: Site, newer_package: Path) -> None:
    machine = enrolled.machine
    before = enrolled.served(trusted=True)

    machine.must("apt-get", "remove", "--yes", "gatecert")

    assert machine.run("systemctl", "is-active", SERVICE).exit_code != 0
    assert machine.run("test", "-e", "/usr/lib/gatecert").exit_code != 0
    assert machine.must("stat", "--format=%U", f"{LIVE}/privkey.pem") == "gatecert\n"
    assert machine.run("test", "-e", CONFIGURATION).exit_code == 0
    assert enrolled.served(trusted=True) == before

    install(machine, newer_package)
    machine.wait_active(SERVICE)
    enrolled.wait_settled()

    assert enrolled.served(trusted=True) == before
    assert enrolled.pebble.orders() == 1

    machine.must("apt-get", "purge", "--yes", "gatecert")

    left = machine.must(
        *("find", "/etc", "/usr", "/var/lib", "/run", "-xdev", "-name", "*gatecert*"),
        *("-not", "-path", "/etc/systemd/system/*.d"),
    )
    assert left.split() == []
    assert machine.must("find", "/etc/systemd", "-xtype", "l") == ""
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert "gatecert: " not in machine.must("journalctl", "--list-catalog")
