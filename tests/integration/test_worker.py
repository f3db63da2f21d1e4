"""The core and its worker: reloads and ends in the middle of a pass, changes, restarts, sockets."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.openssl import HandmadeAuthority
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
# Notes that it has begun, and ends once it may.
WAITS = (
    'echo begun >>"$0/runs"; while [ ! -e "$0/go" ]; do sleep 0.05; done; echo ended >>"$0/runs"'
)
# Passes a socket on as systemd does (sd_listen_fds(3)), and becomes the command.
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http-01"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def configured(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """One gateway whose name points here; its name is looked up once an hour."""
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["resolver"]["interval"] = "1h"
    gatecert.configuration["worker"] = {"idle": "1s"}
    return gatecert


@pytest.fixture
def busy(configured: Gatecert, tmp_path: Path) -> Gatecert:
    """A daemon whose worker waits for the reload command of ``boston``; ``finish`` ends that."""
    server = tmp_path / "server"
    server.mkdir()
    configured.configuration["gateways"][BOSTON]["install"] = {
        "reload": ["sh", "-c", WAITS, str(server)],
        "reload_timeout": "10m",
    }
    configured.start().wait_for(lambda: runs(tmp_path), "the reload command to begin")
    return configured


def runs(directory: Path) -> list[str]:
    """Return what the reload command has noted."""
    file = directory / "server" / "runs"
    return file.read_text("utf-8").split() if file.exists() else []


def finish(directory: Path) -> None:
    """Let the reload command end, and all later ones."""
    (directory / "server" / "go").touch()


# ---------------------------------------------------------------------- signals during a pass


def test_sighup_during_a_pass(
    busy: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    (old,) = busy.workers()
    names.point("paris.example.com", "127.0.0.1")
    busy.add_gateway("paris", "paris.example.com").reload()

    busy.wait_logged("configuration reloaded gateways=2")
    busy.wait_enrolled("paris")
    busy.look_again()
    busy.wait_logged("starting a pass over every gateway")
    assert old in busy.workers()
    assert runs(tmp_path) == ["begun"]

    finish(tmp_path)
    busy.wait_for(lambda: old not in busy.workers(), "the old worker to leave")
    busy.wait_logged(f"enrolled gateway={BOSTON}")
    busy.wait_no_workers()
    assert runs(tmp_path) == ["begun", "ended"]
    assert (pebble.orders(), pebble.certificates()) == (2, 2)
    assert "worker lost" not in busy.process.output


def test_sigterm_during_a_pass_ends_both_processes(busy: Gatecert, pebble: Pebble) -> None:
    (worker,) = busy.workers()
    busy.process.signal(signal.SIGTERM)

    assert busy.process.wait(10) == 0
    assert not Path(f"/proc/{worker}").exists()
    assert "interrupted; the next pass resumes it" in busy.process.output
    assert pebble.orders() == 1


def test_sigkill_of_the_core_ends_the_worker(
    busy: Gatecert, pebble: Pebble, tmp_path: Path
) -> None:
    (worker,) = busy.workers()
    os.kill(busy.process.pid, signal.SIGKILL)
    busy.process.wait(10)
    # A process that adopts it may not wait for it.
    gone = {"X", "Z", ""}
    wait_until(lambda: state(worker) in gone, "the worker to end")

    finish(tmp_path)
    busy.process.start()
    busy.wait_for(lambda: busy.state(BOSTON) in {"trusted", "unproven"}, "a deployment")
    assert (pebble.orders(), pebble.certificates()) == (1, 1)


def state(process: int) -> str:
    """Return the state of a process, as in proc_pid_stat(5); empty if it has ended."""
    try:
        return (
            Path(f"/proc/{process}/stat")
            .read_text("ascii", "replace")
            .rpartition(")")[2]
            .split()[0]
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""


# ---------------------------------------------------------------------- nothing to do


def test_a_forced_enrolment_is_noticed_although_no_worker_runs(
    configured: Gatecert, pebble: Pebble
) -> None:
    configured.use_debug()
    configured.start().wait_logged(f"enrolled gateway={BOSTON}")
    configured.wait_no_workers()
    started = configured.process.output.count("worker started")

    forced = configured.run("enroll", BOSTON, "--force")

    assert forced.exit_code == 0, forced.errors
    configured.wait_logged("worker started", times=started + 1)
    configured.wait_no_workers()
    assert (pebble.orders(), pebble.certificates()) == (2, 2)


def test_an_import_is_noticed_although_no_worker_runs(configured: Gatecert, tmp_path: Path) -> None:
    authority = HandmadeAuthority(tmp_path / "authority")
    configured.use_debug()
    configured.add_gateway("hq", "hq.example.com", mode="custom")
    configured.start().wait_logged("ready gateways=2")
    configured.wait_logged(f"enrolled gateway={BOSTON}")
    request = configured.run("csr", "hq").output
    configured.wait_no_workers()
    started = configured.process.output.count("worker started")

    leaf = authority.sign(request, "hq")
    imported = configured.run(
        *("import", "hq", "--certificate", str(leaf), "--chain", str(authority.chain))
    )

    assert imported.exit_code == 0, imported.errors
    configured.wait_logged("worker started", times=started + 1)
    configured.wait_no_workers()
    assert "worker lost" not in configured.process.output


def test_a_restart_with_everything_in_order_runs_no_pass(
    configured: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    configured.use_debug()
    configured.start().wait_logged(f"enrolled gateway={BOSTON}")
    configured.wait_no_workers()
    configured.process.stop()
    requests, questions = len(pebble.requests()), names.questions(hostname)
    log = len(configured.process.output)

    configured.process.start()
    configured.wait_logged("ready gateways=1", times=2)
    configured.wait_logged("worker ended", times=2)

    assert not configured.workers()
    assert len(pebble.requests()) == requests
    assert names.questions(hostname) == questions
    assert f"gateway={BOSTON}" not in configured.process.output[log:]


# ---------------------------------------------------------------------- inherited sockets


def test_the_core_answers_on_an_inherited_socket(
    configured: Gatecert, pebble: Pebble, servers: ExitStack
) -> None:
    address = ("127.0.0.1", pebble.ports.http01)
    listener = servers.enter_context(socket.create_server(address))
    os.set_inheritable(listener.fileno(), True)  # noqa: FBT003 - positional only
    arguments = [sys.executable, "-c", ACTIVATE, str(listener.fileno())]
    configured.process.argv = (*arguments, *configured.process.argv)
    configured.process.inherited = (listener.fileno(),)
    configured.start().wait_enrolled(BOSTON)
    listener.close()
    configured.wait_no_workers()

    status = http.client.HTTPConnection(*address, timeout=5)
    status.request("GET", "/.well-known/acme-challenge/unknown")

    assert status.getresponse().status == 404
    assert not configured.workers()
    status.close()
    assert "in use" not in configured.process.output  # the core does not hold it besides
