from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gatecert.monitoring.apprise_receiver import digest_of, notify, redacted
from harness.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = {"id": "1", "title": "t", "text": "x", "severity": "critical"}
MAIL = "mailtos://ops%40x:s3cr%2Fet@mail.example.com:587/to@example.com?from=a@example.com&k=T0KEN"
SECONDS = 900.0
NO_IMGHDR = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # of Apprise
WITHOUT_APPRISE = """
import sys
sys.modules["apprise"] = None
from gatecert.monitoring.apprise_receiver import notify
answer = notify(["json://127.0.0.1"], {"id": "1"}, (), print, 9.0)
print(answer.problem, "|", answer.fix, "|", answer.refused)
"""


@pytest.mark.parametrize("secret", ["s3cr/et", "s3cr%2Fet", "T0KEN", "t0ken", "ops@x", "587"])
def test_nothing_of_a_url_but_its_host_is_shown(secret: str) -> None:
    text = redacted(f"mail.example.com says no to <{secret}>", MAIL)
    assert text.startswith("mail.example.com says no to <")
    assert secret.lower() not in text.lower()
    assert "***" in text


@pytest.mark.parametrize("url", ["tgram://123:TOKEN/chat", "slack://TOKENA/TOKENB/TOKENC", "x"])
def test_hosts_of_chats_are_secrets(url: str) -> None:
    assert "TOKEN" not in redacted(f"failed: {url}", url)


def test_without_apprise_the_error_names_the_extra() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT_APPRISE], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == (
        "the library Apprise is not installed | pip install gatecert[notify]; the Debian package "
        "has it | True"
    )


@NO_IMGHDR
def test_urls_that_apprise_does_not_know_are_refused() -> None:
    told: list[str] = []
    answer = notify(["nothing://s3cret", "s3cret"], MESSAGE, (), told.append, SECONDS)
    assert not answer.accepted
    assert answer.refused
    assert "URL 1 (nothing://) is not a URL that Apprise knows" in answer.problem
    assert "s3cret" not in answer.problem
    assert not told


@NO_IMGHDR
def test_what_was_accepted_is_not_sent_again() -> None:
    told: list[str] = []
    url = "nothing://s3cret"
    assert notify([url], MESSAGE, {digest_of(url, "1")}, told.append, SECONDS).accepted
    assert not told
    assert digest_of(url, "1") != digest_of(url, "2")


@NO_IMGHDR
@pytest.mark.enable_socket
@pytest.mark.parametrize("recipients", ["to@example.com,gone@example.com", "gone@example.com"])
def test_a_url_counts_as_told_if_one_of_its_recipients_is(recipients: str) -> None:
    told: list[str] = []
    with Mailbox() as mailbox:
        mailbox.refuses = {"gone@example.com"}
        url = mailbox.url_to(recipients)
        answer = notify([url], MESSAGE, (), told.append, SECONDS)
    assert not answer.accepted
    assert "no such user" in answer.problem
    assert answer.refused == (not mailbox.mails)
    assert told == [digest_of(url, "1")] * len(mailbox.mails)


@contextmanager
def hanging_server(times: list[float]) -> Iterator[int]:
    """Listen for a client that is never answered, and whose time is up as soon as it has come.

    Args:
        times: Gets the seconds that the client had left.
    """

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            times.append(signal.getitimer(signal.ITIMER_REAL)[0])
            signal.pthread_kill(main, signal.SIGALRM)
            ended.wait(60)

    main, ended = threading.get_ident(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            serving.join()


@NO_IMGHDR
@pytest.mark.enable_socket
def test_a_url_that_hangs_takes_its_part_of_the_time_only() -> None:
    told: list[str] = []
    times: list[float] = []
    with Mailbox() as mailbox, hanging_server(times) as port:
        urls = [f"json://127.0.0.1:{port}/s3cret", "json://done", mailbox.url]
        done = {digest_of("json://done", "1")}
        answer = notify(urls, MESSAGE, done, told.append, SECONDS)
        assert len(mailbox.mails) == 1
    assert told == [digest_of(mailbox.url, "1")]
    assert not answer.accepted
    assert answer.problem == "URL 1 (json://) did not accept it: no answer within 450 s"
    assert not answer.refused
    (left,) = times
    assert SECONDS / 4 < left <= SECONDS / 2
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
