"""The servers themselves: what the other tests conclude from them has to be so."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import dns.resolver
import psutil
import pytest

from harness.certificates import write_self_signed
from harness.handshake import Handshake, HandshakeLoop, served_certificate
from harness.nginx import Nginx
from harness.ocserv import Ocserv
from harness.openconnect import authenticate
from harness.pebble import PebbleOptions
from harness.process import BackgroundProcess, end_group, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.pebble import Pebble


def test_a_process_id_that_another_program_has_got_is_not_killed() -> None:
    ended = subprocess.Popen([program("true")])
    ended.wait()
    with subprocess.Popen([program("sleep"), "60"], start_new_session=True) as other:
        ended.pid = other.pid  # as the kernel reuses numbers

        end_group(ended)

        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        other.kill()


def test_openconnect_refuses_untrusted_certificates_and_logs_in_with_trusted_ones(
    servers: ExitStack, pebble: Pebble, tmp_path: Path, hostname: str
) -> None:
    certificate, private_key = tmp_path / "cert.pem", tmp_path / "privkey.pem"
    write_self_signed(certificate, private_key, [hostname])
    gateway = servers.enter_context(
        Ocserv(tmp_path, fullchain=certificate, private_key=private_key)
    )

    refused = authenticate(gateway, hostname, pebble.root)
    accepted = authenticate(gateway, hostname, certificate)

    assert not refused.trusted
    assert refused.refusal == "signer not found"
    assert accepted.trusted, accepted.output


def test_ocserv_serves_another_certificate_after_a_reload_and_not_before(
    servers: ExitStack, tmp_path: Path, hostname: str
) -> None:
    certificate, private_key = tmp_path / "cert.pem", tmp_path / "privkey.pem"
    write_self_signed(certificate, private_key, [hostname])
    gateway = servers.enter_context(
        Ocserv(tmp_path, fullchain=certificate, private_key=private_key)
    )
    first = served_certificate("127.0.0.1", gateway.port, hostname)

    write_self_signed(certificate, private_key, [hostname])
    next_second = int(time.time()) + 1  # ocserv compares modification times by the second
    for path in (certificate, private_key):
        os.utime(path, (next_second, next_second))
    still_first = served_certificate("127.0.0.1", gateway.port, hostname)
    with HandshakeLoop("127.0.0.1", gateway.port, hostname) as loop:
        loop.wait_for_leaves(1)
        gateway.reload()
        loop.wait_for_leaves(2)
    second = served_certificate("127.0.0.1", gateway.port, hostname)

    assert still_first == first
    assert second == ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))


def test_nginx_reloads_without_losing_a_handshake(
    servers: ExitStack, tmp_path: Path, hostname: str
) -> None:
    certificate, private_key = tmp_path / "cert.pem", tmp_path / "privkey.pem"
    write_self_signed(certificate, private_key, [hostname])
    gateway = servers.enter_context(
        Nginx(tmp_path / "nginx", fullchain=certificate, private_key=private_key)
    )

    with HandshakeLoop("127.0.0.1", gateway.port, hostname) as loop:
        loop.wait_for_leaves(1)
        write_self_signed(certificate, private_key, [hostname])
        gateway.reload()
        loop.wait_for_leaves(2)

    assert loop.failures == []


@pytest.mark.parametrize(
    ("served", "lasting"),
    [
        ([(0, "a"), (5, "b"), (5.05, "a"), (5.1, "b"), (9, "b")], ["a", "b"]),
        ([(0, "a"), (5, "b"), (5.05, "a"), (6.1, "a")], ["a", "b", "a"]),
        ([(0, "a"), (5, "b"), (5.05, "c"), (5.1, "a")], ["a", "b", "c", "a"]),
        ([(5, "a"), (5.05, "b"), (7, "")], ["a", "b"]),
    ],
)
def test_a_change_of_the_served_leaf_counts_when_it_lasts(
    served: list[tuple[float, str]], lasting: list[str]
) -> None:
    handshakes = [Handshake(at, fingerprint) for at, fingerprint in served]
    assert HandshakeLoop("", 0, "", handshakes=handshakes).fingerprints == lasting


def test_a_handshake_loop_notices_a_server_that_is_gone(
    servers: ExitStack, tmp_path: Path, hostname: str
) -> None:
    certificate, private_key = tmp_path / "cert.pem", tmp_path / "privkey.pem"
    write_self_signed(certificate, private_key, [hostname])
    gateway = servers.enter_context(
        Nginx(tmp_path / "nginx", fullchain=certificate, private_key=private_key)
    )

    with HandshakeLoop("127.0.0.1", gateway.port, hostname) as loop:
        gateway.process.kill()
        wait_until(lambda: loop.failures, "a handshake to fail")

    assert "Connection refused" in loop.failures[-1].error


def test_pebble_is_another_authority_after_a_restart(pebble: Pebble) -> None:
    root, url = pebble.root.read_bytes(), pebble.directory_url

    pebble.restart()

    assert pebble.root.read_bytes() != root
    assert pebble.directory_url == url
    assert pebble.requests() == ["GET /dir", "GET /dir"]
    assert pebble.orders() == 0


def test_options_of_pebble(start_pebble: StartPebble) -> None:
    pebble = start_pebble(
        PebbleOptions(profiles={"minute": 60}, rejected_nonces=50, reused_authorizations=0)
    )

    assert "reject 50% of good nonces" in pebble.process.output
    assert 'profile "minute" with certificate validity period of 60 s' in pebble.process.output
    assert "authz reuse for each identifier 0% of the time" in pebble.process.output


def test_names_exist_only_once_they_are_pointed_somewhere(names: ChallengeTestServer) -> None:
    host, _, port = names.address.partition(":")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [host], int(port)

    def addresses() -> list[str]:
        answers = [
            resolver.resolve("vpn.example.com", kind, raise_on_no_answer=False)
            for kind in ("A", "AAAA")
        ]
        return [record.address for answer in answers for record in answer.rrset or ()]

    assert addresses() == []
    names.point("vpn.example.com", "127.0.0.1", "::1")
    assert addresses() == ["127.0.0.1", "::1"]
    names.point("vpn.example.com", "203.0.113.7")
    assert addresses() == ["203.0.113.7"]
    assert names.questions("vpn.example.com") == 6


def test_no_process_outlives_its_test(tmp_path: Path) -> None:
    with BackgroundProcess(
        [program("sh"), "-c", "trap '' TERM; sleep 600 & wait"],
        log=tmp_path / "log",
        grace=0.2,
    ) as stubborn:
        child = wait_until(
            lambda: psutil.Process(stubborn.pid).children(), "the program to have a child"
        )[0]

    assert not stubborn.alive
    # The kernel may take a moment over what was killed.
    wait_until(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
        "the child to be gone",
    )


def test_a_missing_program_is_an_error_with_a_fix() -> None:
    with pytest.raises(RuntimeError, match="no-such-server is not installed: run `make setup`"):
        program("no-such-server")
