"""Notifications to real mail servers, webhooks and commands, by the real command."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.gateway_statuses import error, gateway

from gatecert.model import ReceiverPlan
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.notifications import Notifications
from gatecert.report.gateway_status import Condition
from harness.certificates import write_self_signed
from harness.gatecert import Gatecert
from harness.mailbox import Mailbox
from harness.waiting import wait_until
from harness.webhook import SECRET, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.pebble import Pebble

HOSTILE = "<script>alert(1)</script>\x1b[31m\r\nBcc: all@example.com\r\n\r\n" + "x" * 10_000


@pytest.fixture
def gatecert(tmp_path: Path) -> Gatecert:
    """A configuration with one gateway; nothing runs."""
    made = Gatecert(tmp_path / "gatecert")
    made.add_gateway("boston", "boston.example.com", mode="custom")
    return made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def secret(tmp_path: Path, name: str, *lines: str) -> str:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return str(path)


def results(gatecert: Gatecert, *receivers: dict[str, Any]) -> list[dict[str, Any]]:
    """Send a test message; return what came of it."""
    gatecert.configuration["notify"] = list(receivers)
    result = gatecert.write().run("notify", "--test", "--json")
    assert SECRET not in result.output + result.errors
    found: list[dict[str, Any]] = result.json()["receivers"]
    assert result.exit_code == (0 if all(each["accepted"] for each in found) else 1)
    return found


# ---------------------------------------------------------------------- the command


def test_a_test_message_reaches_every_receiver(
    gatecert: Gatecert, mailbox: Mailbox, tmp_path: Path
) -> None:
    there = tmp_path / "message"
    with Webhook() as webhook:
        gatecert.configuration["notify"] = [
            {"url_file": secret(tmp_path, "mail", mailbox.url)},
            {"webhook_file": secret(tmp_path, "hook", webhook.url), "name": "hook"},
            {"command": ["sh", "-c", f"cat > {there}"]},
        ]
        result = gatecert.write().run("notify", "--test")
        assert result.output.splitlines() == [
            "command-3: accepted the test message",
            "hook: accepted the test message",
            "url-1: accepted the test message",
        ]
        assert result.exit_code == 0
        (document,) = webhook.posted
        assert webhook.keys == [document["id"]]
    assert json.loads(there.read_text())["title"] == document["title"]
    (mail,) = mailbox.mails
    assert mail["Subject"] == document["title"]
    assert mail["Message-ID"].startswith("<gatecert.")
    one = gatecert.run("notify", "--test", "url-*")
    assert one.output == "url-1: accepted the test message\n"


def test_without_receivers_it_is_wrong_usage(gatecert: Gatecert) -> None:
    for arguments in (("notify",), ("notify", "--test")):
        result = gatecert.write().run(*arguments)
        assert result.exit_code == 2
        assert "no receiver of notifications" in result.errors
    gatecert.configuration["notify"] = [{"command": ["true"], "name": "ops"}]
    assert gatecert.write().run("notify", "--test", "op").exit_code == 2
    assert gatecert.run("notify").output == "ops: nothing told yet\n"


# ---------------------------------------------------------------------- webhooks


@pytest.mark.parametrize(
    ("status", "problem", "fix"),
    [
        (200, "", ""),
        (299, "", ""),
        (302, "127.0.0.1 redirects, which is not followed", "write the new URL"),
        (308, "127.0.0.1 redirects, which is not followed", "write the new URL"),
        (404, "127.0.0.1 answered with HTTP status 404", "check the URL"),
        (500, "127.0.0.1 answered with HTTP status 500", "gatecert tries again"),
    ],
)
def test_a_webhook_accepts_with_2xx(
    gatecert: Gatecert, tmp_path: Path, status: int, problem: str, fix: str
) -> None:
    with Webhook() as webhook:
        webhook.status = status
        (found,) = results(gatecert, {"webhook_file": secret(tmp_path, "hook", webhook.url)})
        assert webhook.paths == [f"/{SECRET}"]
    assert (found["accepted"], found["problem"]) == (not problem, problem)
    assert fix in found["fix"]


def test_a_webhook_that_hangs_is_given_up(gatecert: Gatecert, tmp_path: Path) -> None:
    with Webhook() as webhook:
        webhook.hangs = True
        begin = time.monotonic()
        hook = {"webhook_file": secret(tmp_path, "hook", webhook.url), "timeout": "2s"}
        (found,) = results(gatecert, hook)
        assert time.monotonic() - begin < 20
    assert found["problem"].endswith("within 2 s")


@pytest.mark.parametrize("status", [200, 500])
def test_of_a_huge_answer_the_status_counts(
    gatecert: Gatecert, tmp_path: Path, status: int
) -> None:
    with Webhook() as webhook:
        webhook.status, webhook.is_huge = status, True
        (found,) = results(gatecert, {"webhook_file": secret(tmp_path, "hook", webhook.url)})
    assert found["accepted"] is (status == 200)


def test_a_webhook_must_have_a_trusted_certificate(gatecert: Gatecert, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_self_signed(certificate, key, ["127.0.0.1"])
    chain = tmp_path / "both.pem"
    chain.write_bytes(certificate.read_bytes() + key.read_bytes())
    with Webhook(chain) as webhook:
        (found,) = results(gatecert, {"webhook_file": secret(tmp_path, "hook", webhook.url)})
        assert not webhook.posted
    assert "its TLS certificate is not trusted" in found["problem"]


@pytest.mark.parametrize(
    "url",
    [f"http://example.com/{SECRET}", f"https://u:{SECRET}@127.0.0.1/", f"ftp://127.0.0.1/{SECRET}"],
)
def test_a_webhook_without_tls_or_with_a_password_is_refused(
    gatecert: Gatecert, tmp_path: Path, url: str
) -> None:
    (found,) = results(gatecert, {"webhook_file": secret(tmp_path, "hook", url)})
    assert "the URL is not https://HOST" in found["problem"]


# ---------------------------------------------------------------------- mail


def test_a_dead_mail_server_and_a_refused_recipient_are_named(
    gatecert: Gatecert, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.refuses = {"gone@example.com"}
    (found,) = results(
        gatecert, {"url_file": secret(tmp_path, "mail", mailbox.url_to("gone@example.com"))}
    )
    assert "mailto://127.0.0.1 did not accept it" in found["problem"]
    assert found["problem"].isprintable()
    mailbox.stop()
    url = f"mailto://ops:{SECRET}@127.0.0.1:{mailbox.port}?from=a@example.com&to=b@example.com"
    (dead,) = results(gatecert, {"url_file": secret(tmp_path, "mail", url)})
    assert dead["problem"].endswith("Connection refused")
    mailbox.start()


# ---------------------------------------------------------------------- checks


def test_check_says_what_a_receiver_lacks(gatecert: Gatecert, tmp_path: Path) -> None:
    exposed = secret(tmp_path, "exposed", "mailto://a")
    os.chmod(exposed, 0o644)  # noqa: PTH101 - a text
    gatecert.configuration["notify"] = [
        {"command": ["no-such-program"]},
        {"webhook_file": str(tmp_path / "missing")},
        {"url_file": exposed},
    ]
    result = gatecert.write().run("check")
    shown = result.output + result.errors
    assert result.exit_code == 2
    assert "no program 'no-such-program'" in shown
    assert "names a file that does not exist" in shown
    assert "world-readable" in shown
    assert "exposed" not in shown


def test_without_apprise_the_extra_is_named(
    gatecert: Gatecert, mailbox: Mailbox, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['apprise'] = None\n")
    path = os.pathsep.join([str(blocked), *filter(None, sys.path)])
    without = Gatecert(tmp_path / "without", environment={"PYTHONPATH": path})
    without.configuration |= gatecert.configuration | {
        "state_directory": str(without.state_directory)
    }
    (found,) = results(without, {"url_file": secret(tmp_path, "mail", mailbox.url)})
    assert found["problem"] == "the library Apprise is not installed"
    assert "pip install gatecert[notify]" in found["fix"]
    assert not mailbox.mails
    result = without.run("check")
    assert "pip install gatecert[notify]" in result.output + result.errors


# ---------------------------------------------------------------------- the monitor


class Clock:
    """A clock that the test sets forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def told(monitor: Notifications, clock: Clock) -> None:
    """Send everything that becomes due within an hour."""
    end = clock() + timedelta(hours=1)
    while (due := monitor.next_at()) is not None and due < end:
        clock.ahead += max(timedelta(0), due - clock())
        asyncio.run(monitor.run_due())


def test_a_problem_is_one_mail_and_its_end_another(tmp_path: Path, mailbox: Mailbox) -> None:
    plan = ReceiverPlan("ops", ReceiverKind.APPRISE, secret(tmp_path, "mail", mailbox.url))
    clock = Clock()
    monitor = Notifications([plan], tmp_path, clock, host="vpn1")
    failed = gateway("boston", failures=3, last_error=error("acme", HOSTILE, HOSTILE))
    monitor.seen(failed)
    monitor.seen(gateway("kiel", Condition.SILENT, served=False, served_detail=HOSTILE))
    told(monitor, clock)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "gatecert: 1 critical, 1 warning: kiel, boston"
    assert mail["Bcc"] is None
    body = mail.get_content()
    assert body.startswith("1 critical, 1 warning on vpn1: kiel, boston")
    assert "\x1b" not in body
    assert len(body) < 5000
    monitor = Notifications([plan], tmp_path, clock, host="vpn1")
    monitor.seen(failed)
    monitor.seen(gateway("kiel"))
    told(monitor, clock)
    assert [each["Subject"] for each in mailbox.mails[1:]] == ["gatecert: recovered: kiel"]
    assert len({each["Message-ID"] for each in mailbox.mails}) == 2


def test_a_mail_that_may_have_arrived_is_repeated_with_its_id(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    plan = ReceiverPlan("ops", ReceiverKind.APPRISE, secret(tmp_path, "mail", mailbox.url))
    clock = Clock()
    monitor = Notifications([plan], tmp_path, clock)
    monitor.seen(gateway("boston", failures=3, last_error=error("acme", "refused")))
    mailbox.is_deaf = True
    clock.ahead = timedelta(minutes=2)
    asyncio.run(monitor.run_due())
    (status,) = monitor.statuses()
    assert (status.waiting, bool(status.problem)) == (1, True)
    mailbox.is_deaf = False
    told(monitor, clock)
    assert len(mailbox.mails) == 2
    assert len({each["Message-ID"] for each in mailbox.mails}) == 1


def test_of_several_urls_only_those_that_failed_are_tried_again(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    with Mailbox() as other:
        other.refuses = {"ops@example.com"}
        file = secret(tmp_path, "mail", mailbox.url, other.url, "nothing://")
        plan = ReceiverPlan("ops", ReceiverKind.APPRISE, file)
        clock = Clock()
        monitor = Notifications([plan], tmp_path, clock)
        monitor.seen(gateway("boston", failures=3, last_error=error("acme", "refused")))
        clock.ahead = timedelta(minutes=2)
        asyncio.run(monitor.run_due())
        (status,) = monitor.statuses()
        assert "URL 2" in status.problem
        assert "URL 3" in status.problem
        other.refuses = set()
        secret(tmp_path, "mail", mailbox.url, other.url)
        monitor = Notifications([plan], tmp_path, clock)
        told(monitor, clock)
        (status,) = monitor.statuses()
        assert not status.problem
        assert (len(mailbox.mails), len(other.mails)) == (1, 1)


def test_the_record_is_private_and_has_no_url(tmp_path: Path) -> None:
    with Webhook() as webhook:
        file = secret(tmp_path, "hook", webhook.url)
        plan = ReceiverPlan("ops", ReceiverKind.WEBHOOK, file)
        clock = Clock()
        for each in (plan, replace(plan, name="again")):
            webhook.status = 500
            monitor = Notifications([each], tmp_path, clock)
            monitor.seen(gateway("boston", failures=3, last_error=error("acme", "refused")))
            clock.ahead += timedelta(minutes=2)
            asyncio.run(monitor.run_due())
            assert webhook.posted
            path = tmp_path / "notifications.json"
            assert SECRET not in path.read_text()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


# ---------------------------------------------------------------------- the daemon


def test_the_daemon_tells_of_a_failure_and_of_its_end(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    names.point("boston.example.com", "127.0.0.1")
    gatecert.use(pebble, names)
    authority = gatecert.configuration["authorities"]["pebble"]
    directory, authority["directory_url"] = authority["directory_url"], "https://127.0.0.1:9/dir"
    gatecert.add_gateway("boston", "boston.example.com")
    with Webhook() as webhook:
        file = secret(tmp_path, "hook", webhook.url)
        hook = {"webhook_file": file, "failures": 1, "group": "1s", "name": "hook"}
        gatecert.configuration["notify"] = [hook]
        with gatecert:
            wait_until(lambda: webhook.posted, "the failure to be told", seconds=60)
            assert webhook.posted[0]["events"][0]["code"] == "authority-unreachable"
            assert gatecert.run("notify").output.startswith("hook: told ")
            authority["directory_url"] = directory
            gatecert.reload()
            assert gatecert.run("enroll", "boston", "--force").exit_code == 0
            wait_until(lambda: len(webhook.posted) > 1, "its end to be told", seconds=60)
        assert [each["events"][0]["event"] for each in webhook.posted] == ["failed", "recovered"]
        assert SECRET not in gatecert.process.log.read_text()
