"""Installed, reloaded and proven; the best certificate stays in place."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.measurements import Measured
from tests.fakes.world import HOSTNAME, World

from gatecert.measurement import Measurement
from gatecert.model import FileContents, FileCopy, OutcomeKind
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path


def test_the_reload_command_gets_its_environment(world: World) -> None:
    log = world.directory / "log"
    world.plan(reload=world.script(f'echo "$GATECERT_GATEWAY $GATECERT_HOSTNAME" >> {log}'))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert log.read_text() == f"vpn {HOSTNAME}\n"


def test_a_command_proves_services_without_tls_listener(world: World, tmp_path: Path) -> None:
    served = tmp_path / "served"
    live = world.store.gateway_directory("vpn") / "live" / "cert.pem"
    fingerprint = f"openssl x509 -in {live} -noout -fingerprint -sha256 | tr -d :"
    proof = f'{fingerprint} | grep -qi "$GATECERT_FINGERPRINT" && [ -e {served} ]'
    world.plan(verify_command=("sh", "-c", proof), verify_timeout=timedelta(0))

    failed = world.attend()
    assert failed.kind is OutcomeKind.FAILED
    assert failed.code == "not-served"
    assert world.waits[-1] == "vpn verify waiting for the verify command to serve it, at most 0 s"
    assert not world.serves_bootstrap
    assert "verify_command sh reports that it is not served (exit status 1)" in failed.detail

    served.touch()
    world.later(HOUR)
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert not world.serves_bootstrap
    assert world.authority.orders == 1


def takes_only(world: World, version: str) -> tuple[str, ...]:
    """A reload command of a server that refuses every other version until it is allowed."""
    allowed = world.directory / "allowed"
    return world.script(
        f"[ $GATECERT_VERSION = {version} ] || [ -e {allowed} ] || {{ echo bad key; exit 3; }}"
    )


def test_a_version_that_the_server_refuses_is_rolled_back_and_the_deployment_alone_tried_again(
    world: World,
) -> None:
    measured = Measured()
    world.pipeline = replace(world.pipeline, measure=measured)
    world.attend()
    assert not measured.all
    first = world.live
    world.plan(reload=takes_only(world, world.store.versions("vpn")[0].id))
    world.later(60 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.ROLLED_BACK, "reload-failed")
    assert "bad key" in outcome.detail
    assert "served again" in outcome.detail
    assert world.live == first
    assert world.store.state("vpn").enrolment.failures == 0
    assert measured.all == [(Measurement.ROLLBACKS, {}, 1)]

    (world.directory / "allowed").touch()
    assert world.attend().kind is OutcomeKind.IDLE
    world.later(timedelta(seconds=10))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.live != first
    assert world.authority.orders == 2


def test_a_reload_that_fails_for_every_version_keeps_the_newer_one(world: World) -> None:
    world.attend()
    first = world.live
    world.plan(reload=world.script("echo not today; exit 3"))
    world.later(60 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "reload-failed")
    assert "not today" in outcome.detail
    assert "the previous certificate fails the check as well" in outcome.detail
    assert world.live != first
    assert world.store.state("vpn").enrolment.failures == 0

    world.plan(reload=world.script("exit 0"))
    assert world.attend().kind is OutcomeKind.IDLE
    world.later(timedelta(seconds=10))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.live != first
    assert world.authority.orders == 2


@pytest.mark.parametrize("age", [0 * DAY, 89 * DAY + 23 * HOUR], ids=["bootstrap", "at its end"])
@pytest.mark.parametrize("reload", [("sytemctl", "reload"), None], ids=["misspelt", "fails"])
def test_a_reload_that_does_not_work_never_puts_a_worse_certificate_in_place(
    world: World, age: timedelta, reload: tuple[str, ...] | None
) -> None:
    if age:
        world.attend()
    first = world.store.versions("vpn")[0].id if age else ""
    world.plan(reload=reload or world.script("exit 1"))
    world.later(age)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "reload-failed")
    assert "stays in place" in outcome.detail
    assert not world.serves_bootstrap
    assert world.current.deployer.current_id() != first

    world.plan(reload=world.script("exit 0"))
    world.later(timedelta(seconds=10))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.authority.orders == (2 if age else 1)


def test_deployments_that_go_on_failing_are_tried_less_and_less(world: World) -> None:
    world.plan(reload=world.script("exit 1"))
    delays = []
    for _ in range(4):
        outcome = world.attend(force=False)
        assert outcome.failed
        assert outcome.next_at is not None
        delays.append(outcome.next_at - world.clock())
        world.later(delays[-1])
    assert delays == [timedelta(seconds=10), MINUTE, 5 * MINUTE, 30 * MINUTE]
    assert world.authority.orders == 1


def test_an_operator_who_repaired_the_reload_need_not_wait(world: World) -> None:
    tries = world.directory / "tries"
    world.plan(reload=world.script(f"echo $GATECERT_VERSION >>{tries}; exit 1"))
    for _ in range(4):
        outcome = world.attend()
        assert outcome.next_at is not None
        world.clock.time = outcome.next_at
    assert world.attend().failed
    world.later(MINUTE)
    assert world.attend().kind is OutcomeKind.IDLE
    before = len(tries.read_text().splitlines())
    assert world.attend(deploy_now=True).failed
    assert len(tries.read_text().splitlines()) == before + 1

    world.plan(reload=world.script("exit 0"))
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.attend(deploy_now=True).kind is OutcomeKind.DEPLOYED
    assert not world.serves_bootstrap
    assert world.authority.orders == 1


def test_a_deployment_that_fails_is_tried_once_in_a_pass(world: World) -> None:
    world.attend()
    tries = world.directory / "tries"
    world.plan(reload=world.script(f"echo >>{tries}; exit 1"))
    world.later(60 * DAY)
    assert world.attend(deploy_now=True).kind is OutcomeKind.FAILED
    assert tries.read_text() == "\n\n"  # the new one, and the one before


def test_a_certificate_that_has_ended_is_never_put_back(world: World) -> None:
    world.attend()
    first = world.live
    world.plan(reload=world.script("exit 1"))
    world.later(91 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "reload-failed")
    assert world.live != first


def test_failures_of_another_version_do_not_delay_the_wanted_one(
    world: World,
) -> None:
    world.attend()
    again = (world.clock() + HOUR).isoformat()
    other = {"version": "000001-other", "confirmed": None, "failures": 5, "next_attempt": again}
    deployment = world.store.gateway_directory("vpn") / "deployment.json"
    deployment.write_text(json.dumps({**json.loads(deployment.read_text()), **other}))
    assert world.attend().kind is OutcomeKind.DEPLOYED


def test_a_crash_between_swap_and_reload_is_made_good(world: World) -> None:
    world.attend()
    log = world.directory / "log"
    world.plan(reload=world.script(f"echo reloaded >> {log}"))
    deployment = world.store.gateway_directory("vpn") / "deployment.json"
    kept = json.loads(deployment.read_text())
    deployment.write_text(json.dumps({**kept, "confirmed": None}))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert log.read_text() == "reloaded\n"
    assert world.attend().kind is OutcomeKind.IDLE


def test_a_rejected_version_is_rolled_back_even_after_a_crash(world: World) -> None:
    world.attend()
    first = world.live
    world.plan(reload=takes_only(world, world.store.versions("vpn")[0].id))
    world.later(60 * DAY)
    world.current.deployer.swap(world.keep_unsettled())  # and then it was killed
    assert world.live != first
    assert world.attend().kind is OutcomeKind.ROLLED_BACK
    assert world.live == first
    (world.directory / "allowed").touch()
    world.later(HOUR)
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.live != first


def test_the_roll_back_succeeds_even_if_its_record_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.attend()
    first = world.live
    world.plan(reload=takes_only(world, world.store.versions("vpn")[0].id))
    world.later(60 * DAY)

    def full(name: str, path: Path) -> None:
        before = json.loads(path.read_text()) if path.name == "deployment.json" else {}
        if name == "replace" and before.get("previous"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(durable, "on_step", full)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "state-unwritable")
    assert world.live == first
    assert outcome.next_at == world.clock() + timedelta(seconds=30)


def test_copies_that_a_crash_left_out_are_written_before_anything_is_confirmed(
    world: World,
) -> None:
    copy = FileCopy(world.directory / "copy.pem", FileContents.CERT)
    world.plan(copy_to=(copy,), verify_command=("true",))
    world.attend()
    copy.path.unlink()
    deployment = world.store.gateway_directory("vpn") / "deployment.json"
    kept = json.loads(deployment.read_text())
    deployment.write_text(json.dumps({**kept, "confirmed": None}))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert copy.path.exists()


def test_a_copy_that_the_configuration_asks_for_later_is_written_at_once(world: World) -> None:
    reloads = world.directory / "reloads"
    world.plan(reload=world.script(f"echo >>{reloads}"))
    world.attend()
    before = len(reloads.read_text())
    copy = FileCopy(world.directory / "copy.pem", FileContents.CERT)
    world.plan(copy_to=(copy,), reload=world.target.install.reload)

    assert world.pipeline.prepare(world.target) is None

    assert copy.path.exists()
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert len(reloads.read_text()) == before + 1
    assert world.pipeline.prepare(world.target) is None
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 1


def test_a_copy_asked_for_later_that_cannot_be_written_is_a_failure_and_costs_nothing(
    world: World,
) -> None:
    world.attend()
    issued = world.live
    world.plan(copy_to=(FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT),))

    assert world.pipeline.prepare(world.target) is None
    outcome = world.attend()

    assert outcome.kind is OutcomeKind.FAILED
    assert "missing/cert.pem" in outcome.detail
    assert world.live == issued
    assert world.authority.orders == 1


def test_a_stop_during_a_reload_leaves_the_deployment_to_the_next_pass(
    world: World,
) -> None:
    started = world.directory / "started"
    world.plan(reload=world.script(f"touch {started}; sleep 5"))

    def leave() -> None:
        while not started.exists():
            time.sleep(0.01)
        world.cancelled.set()

    leaving = threading.Thread(target=leave)
    leaving.start()
    outcome = world.attend()
    leaving.join()
    assert outcome.kind is OutcomeKind.WAITING
    assert not world.serves_bootstrap
    world.cancelled.clear()
    world.plan(reload=world.script("exit 0"))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.authority.orders == 1


def test_the_newest_few_versions_are_kept(world: World) -> None:
    world.plan(keep_versions=2)
    for _ in range(4):
        world.attend(force=True)
    assert len(world.store.versions("vpn")) == 2


def test_notes_of_the_authority_reach_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.attend()
    assert "a note" in caplog.text


def test_no_deployment_starts_while_stopping(world: World) -> None:
    world.pipeline.prepare(world.target)
    world.cancelled.set()
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 0


def test_a_copy_that_cannot_be_written_keeps_no_certificate_from_being_served(
    world: World,
) -> None:
    copy = FileCopy(world.directory / "copies" / "cert.pem", FileContents.CERT)
    copy.path.parent.mkdir()
    reloads, proofs = world.directory / "reloads", world.directory / "proofs"
    plan = {
        "reload": world.script(
            f"echo >>{reloads}; rm -f {proofs}/*; touch {proofs}/$GATECERT_VERSION"
        ),
        "verify_command": ("sh", "-c", f"[ -e {proofs}/$GATECERT_VERSION ]"),
        "verify_timeout": timedelta(0),
        "copy_to": (copy,),
    }
    proofs.mkdir()
    world.plan(**plan)
    assert world.attend().kind is OutcomeKind.ENROLLED
    first = world.live
    reloads.unlink()
    copy.path.unlink()
    copy.path.parent.rmdir()
    world.later(60 * DAY)

    outcome = world.attend()

    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "copy-failed")
    assert outcome.detail.endswith("; the certificate is served nevertheless")
    assert outcome.fix
    assert world.live != first
    assert reloads.read_text() == "\n"

    world.later(HOUR)
    assert world.attend().code == "copy-failed"
    assert reloads.read_text() == "\n"

    copy.path.parent.mkdir()
    world.later(HOUR)
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert copy.path.exists()
    assert reloads.read_text() == "\n\n"
    assert world.authority.orders == 2


def test_a_rejected_version_is_rolled_back_even_if_copies_cannot_be_written(world: World) -> None:
    world.attend()
    first = world.live
    (version,) = world.store.versions("vpn")[:1]
    told = world.directory / "told"
    world.plan(
        reload=world.script(
            f"echo $GATECERT_VERSION >{told}; [ $GATECERT_VERSION = {version.id} ]"
        ),
        verify_command=("sh", "-c", f"[ $GATECERT_VERSION = {version.id} ]"),
        verify_timeout=timedelta(0),
        copy_to=(FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT),),
    )
    world.later(60 * DAY)

    outcome = world.attend()

    assert (outcome.kind, outcome.code) == (OutcomeKind.ROLLED_BACK, "reload-failed")
    assert world.live == first
    assert told.read_text() == f"{version.id}\n"


def test_where_nothing_is_proven_a_missing_copy_waits_until_the_previous_certificate_has_ended(
    world: World,
) -> None:
    world.attend()
    first = world.live
    reloads = world.directory / "reloads"
    world.plan(
        reload=world.script(f"echo >>{reloads}"),
        copy_to=(FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT),),
    )
    world.later(60 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.ROLLED_BACK, "copy-failed")
    assert world.live == first
    assert not reloads.exists()

    world.later(30 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "copy-failed")
    assert outcome.detail.endswith("; the gateway was reloaded nevertheless")
    assert world.live != first
    assert reloads.read_text() == "\n"

    world.later(HOUR)
    assert world.attend().code == "copy-failed"
    assert reloads.read_text() == "\n"
    assert world.authority.orders == 2
