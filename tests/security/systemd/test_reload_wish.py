"""The request to reload a server, in every form that gatecert's user can give it.

systemd's process 1 starts the reload unit whenever the request exists. What its user does must cost
process 1 next to nothing, fill no journal, and keep no later renewal from being reloaded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness.machine.booted import Machine
from harness.machine.site import BOSTON, GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.systemd.conftest import Figures, Installed

    from harness.machine.site import Site

RELOAD: Final = f"gatecert-reload@{BOSTON}.service"
PATH: Final = f"gatecert-reload@{BOSTON}.path"
WISH: Final = f"{GATEWAY}/reload-wanted"
AS_GATECERT: Final = ("setpriv", "--reuid=gatecert", "--regid=gatecert", "--init-groups")
OBSERVED: Final = 15.0  # seconds
MOST_PROCESSOR_TIME: Final = 1.5  # seconds of process 1 meanwhile; 11.8 were observed
MOST_ENTRIES: Final = 160  # of the journal meanwhile: a run a second; 3,326 were observed
MOST_EXPOSED: Final = 1.5
TICKS: Final = 100  # a second, USER_HZ in proc(5)
SERVER: Final = """\
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/true
[Install]
WantedBy=multi-user.target
"""
REPEATED: Final = """\
import os, signal, time
os.chdir({directory!r})
{before}
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    try:
        {attack}
    except OSError:
        pass
"""
OWN_PROCESSES: Final = """[
            os.kill(int(each), signal.{signal})
            for each in os.listdir("/proc")
            if each.isdigit() and int(each) != os.getpid()
            and os.stat("/proc/" + each).st_uid == os.getuid()
        ]"""
STUCK: Final = (
    "os.mkdir('reload-wanted'); open('reload-wanted/x', 'w'); os.chmod('reload-wanted', 0)"
)


def repeated(attack: str, before: str = "") -> tuple[str, ...]:
    """Return a command that does something as often as it can."""
    text = REPEATED.format(directory=GATEWAY, before=before, attack=attack, seconds=OBSERVED - 2)
    return ("python3", "-c", text)


def shell(text: str) -> tuple[str, ...]:
    return ("sh", "-ec", f"WISH={WISH} GATEWAY={GATEWAY}; {text}")


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack by gatecert's user.

    Attributes:
        command: Of gatecert's user; it ends before the observation does.
        is_said: Whether the reload unit has to say that the request cannot be removed.
        undone: By root, afterwards.
    """

    command: tuple[str, ...]
    is_said: bool = False
    undone: str = f"chmod -R u+rwx {WISH}; rm -rf {WISH}"


EMPTY_AWAY: Final = f"rm -f {GATEWAY}; mv {GATEWAY}.away {GATEWAY}"
ATTACKS: Final = {
    "a directory that its owner may not enter": Attack(
        shell("mkdir $WISH.new; touch $WISH.new/x; chmod 000 $WISH.new; mv -T $WISH.new $WISH"),
        is_said=True,
    ),
    "the gateway's directory becomes a link to root's files": Attack(
        shell("mv $GATEWAY $GATEWAY.away; ln -s /srv/of-root $GATEWAY"),
        is_said=True,
        undone=EMPTY_AWAY,
    ),
    "the gateway's directory is closed": Attack(
        shell("touch $WISH; chmod 000 $GATEWAY"), undone=f"chmod 711 {GATEWAY}"
    ),
    "the gateway's directory goes away": Attack(
        shell("touch $WISH; mv $GATEWAY $GATEWAY.away"), undone=EMPTY_AWAY
    ),
    "requests as fast as possible": Attack(repeated("open('reload-wanted', 'w').close()")),
    "other files as fast as possible": Attack(repeated("open('x', 'w').close(); os.unlink('x')")),
    "the time of a request as fast as possible": Attack(
        repeated(
            "open('reload-wanted', 'a').close(); [os.utime('reload-wanted') for _ in 'x' * 99]"
        )
    ),
    "100,000 requests": Attack(
        shell("mkdir $WISH.new; cd $WISH.new; seq 100000 | xargs touch; mv $WISH.new $WISH")
    ),
    "the unit's processes are killed": Attack(
        repeated(OWN_PROCESSES.format(signal="SIGKILL"), STUCK)
    ),
    "the unit's processes are stopped": Attack(
        repeated(OWN_PROCESSES.format(signal="SIGSTOP"), STUCK),
        undone=f"pkill -KILL -u gatecert; chmod 700 {WISH}; rm -rf {WISH}",
    ),
}


class Cost:
    """Cost of what happens on a machine from now on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._began = time.monotonic()
        self._before = self._processor_time(), len(self._journal())

    def wait(self) -> None:
        """Wait until the observation is over."""
        time.sleep(max(0.0, self._began + OBSERVED - time.monotonic()))

    @property
    def processor_time(self) -> float:
        """Seconds that process 1 has used."""
        return self._processor_time() - self._before[0]

    @property
    def entries(self) -> list[str]:
        """The entries of the journal, those of gatecert itself excepted."""
        return self._journal()[self._before[1] :]

    def _processor_time(self) -> float:
        fields = self._machine.must("cat", "/proc/1/stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _journal(self) -> list[str]:
        of_units = (f"--unit={RELOAD}", f"--unit={PATH}", "--unit=server.service")
        shown = self._machine.must("journalctl", "--boot", "--quiet", "--output=cat", *of_units)
        return shown.splitlines()


@pytest.fixture(scope="module")
def watched(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose reload unit works; the daemon does not run."""
    directory = tmp_path_factory.mktemp("wish") / "machine"
    with Machine(installed.layers, directory) as machine:
        machine.write("/etc/systemd/system/server.service", SERVER)
        machine.drop_in(RELOAD, "[Service]\nEnvironment=UNIT=server.service\n")
        machine.enable("server.service", PATH)
        machine.write("/srv/of-root/reload-wanted", "")
        machine.boot()
        own = ("install", "-d", "-o", "gatecert", "-g", "gatecert", "-m", "711")
        machine.must(*own, str(Path(GATEWAY).parent), GATEWAY)
        machine.wait_active("server.service")
        machine.wait_idle()
        yield machine


def reloads(machine: Machine) -> int:
    """Return how often the server has been reloaded."""
    entries = machine.journal("--unit", "server.service")
    return sum(str(entry.get("MESSAGE")).startswith("Reloaded ") for entry in entries)


def renew(machine: Machine) -> None:
    """Request a reload as the daemon does after a renewal, and wait for it."""
    before = reloads(machine)
    machine.must(*AS_GATECERT, "touch", f"{GATEWAY}/.new")
    machine.must(*AS_GATECERT, "mv", "-T", f"{GATEWAY}/.new", WISH)
    machine.wait_for(lambda: reloads(machine) > before, "the server to be reloaded")
    machine.wait_for(lambda: machine.run("test", "-e", WISH).exit_code != 0, "no request")


@pytest.mark.attack(
    "keep process 1 busy and fill the journal with a request that cannot be removed"
)
@pytest.mark.parametrize("what", ATTACKS)
def test_requests_cost_process_1_nothing(
    watched: Machine, installed: Installed, figures: Figures, what: str
) -> None:
    attack = ATTACKS[what]
    renew(watched)
    time.sleep(2.0)  # the pause after a reload
    cost = Cost(watched)

    watched.must(*AS_GATECERT, *attack.command)
    cost.wait()
    seconds, entries = cost.processor_time, cost.entries
    watches = watched.shown(PATH, "ActiveState")
    watched.run("sh", "-c", attack.undone)

    figures.add(f"{installed.suite}: {what}: process 1", seconds)
    figures.add(f"{installed.suite}: {what}: journal", len(entries), " entries")
    assert seconds < MOST_PROCESSOR_TIME
    assert len(entries) < MOST_ENTRIES
    if attack.is_said:
        assert_said_once(entries)
    assert watches == "active"
    renew(watched)
    assert watched.run("test", "-e", "/srv/of-root/reload-wanted").exit_code == 0


def assert_said_once(entries: list[str]) -> None:
    """Verify that one line says what is wrong, and what to do."""
    (said,) = [line for line in entries if "so the gateway's server is not reloaded" in line]
    assert WISH in said
    assert "remove it as root" in said


@pytest.mark.attack("keep process 1 busy by a state directory that turns read-only")
def test_a_state_directory_that_turns_read_only(watched: Machine) -> None:
    renew(watched)
    watched.must("systemctl", "stop", PATH)
    watched.must("touch", WISH)
    watched.must(
        "sh", "-ec", f"mount --bind {GATEWAY} {GATEWAY}; mount -o remount,bind,ro {GATEWAY}"
    )
    before, cost = reloads(watched), Cost(watched)

    watched.must("systemctl", "start", PATH)
    cost.wait()
    seconds, entries = cost.processor_time, cost.entries
    watched.must("umount", GATEWAY)

    assert seconds < MOST_PROCESSOR_TIME
    assert len(entries) < MOST_ENTRIES
    assert_said_once(entries)
    watched.wait_for(lambda: reloads(watched) > before, "the reload that was requested")
    renew(watched)


def test_check_names_a_request_that_cannot_be_removed(enrolled: Site) -> None:
    machine = enrolled.machine
    enrolled.wait_reloaded()
    machine.must(*AS_GATECERT, *ATTACKS["a directory that its owner may not enter"].command)
    words = f"{RELOAD} cannot remove {WISH}: remove it as root"

    machine.wait_for(lambda: words in machine.run("gatecert", "check").output, "check to say so")
    assert "reload-unit-failed" in machine.run("gatecert", "doctor", BOSTON, "--json").output

    machine.must("sh", "-c", f"chmod 700 {WISH}; rm -r {WISH}")
    renewed = machine.run("gatecert", "enroll", "--force", BOSTON)
    assert renewed.exit_code == 0, renewed.errors
    assert enrolled.status()["state"] == "trusted"


def test_the_reload_unit_is_sandboxed(
    watched: Machine, installed: Installed, figures: Figures
) -> None:
    shown = watched.must("systemd-analyze", "security", "--no-pager", RELOAD)
    (summary,) = [line for line in shown.splitlines() if "Overall exposure" in line]
    score = float(summary.partition(".service:")[2].split()[0])

    figures.add(f"{installed.suite}: systemd-analyze security, reload unit", score, "")
    assert score <= MOST_EXPOSED
