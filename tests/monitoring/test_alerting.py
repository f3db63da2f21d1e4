"""From a certificate that cannot be renewed to a mail, and to another one when it can.

Prometheus scrapes a real gatecert with the configuration of docs/monitoring.md, and its
Alertmanager sends mail. gatecert notifies by mail as well. Each "for" of the rules is a thousandth
of what it is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.mailbox import Mailbox
from harness.pebble import PebbleOptions
from harness.prometheus import Alertmanager, Prometheus
from harness.waiting import wait_until

from .page import alertmanager, prometheus
from .scene import Scene, hostname

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from email.message import EmailMessage
    from pathlib import Path

OPERATORS = "operators@example.org"  # of the page
ADMINISTRATORS = "administrators@example.org"
LIFETIME = 3600  # seconds
AFTER_15_SECONDS = {"renewal_info": False, "remaining": 1 - 15 / LIFETIME}
RETRY = 100.0  # seconds; the second attempt is a minute after the first, give or take a fifth
SETTLED = 6.0  # seconds; longer than any pause of Prometheus, Alertmanager and gatecert


class Watched:
    """A gateway, and everybody who watches it.

    Args:
        directory: For all files.
        servers: Ends what runs.
        renewal: When the certificate is renewed, as in the configuration.

    Attributes:
        scene: The gateway ``boston`` with a certificate of an hour.
        prometheus: Scrapes it.
    """

    def __init__(self, directory: Path, servers: ExitStack, renewal: Mapping[str, object]) -> None:
        self._mailbox = servers.enter_context(Mailbox())
        options = PebbleOptions(profiles={"hour": LIFETIME}, rejected_nonces=0)
        self.scene = Scene(directory, servers, options)
        receiver = directory / "mail"
        receiver.touch(0o600)
        receiver.write_text(self._mailbox.url_to(ADMINISTRATORS))
        self.scene.gatecert.configuration["notify"] = [
            {"name": "mail", "url_file": str(receiver), "failures": 1, "group": "1s"}
        ]
        self.scene.add_gateway("boston", renewal=dict(renewal))
        self.scene.start()
        sender = Alertmanager(
            directory / "alertmanager",
            alertmanager({"127.0.0.1:25": f"127.0.0.1:{self._mailbox.port}"}),
        )
        places = {"127.0.0.1:9876": self.scene.metrics, "127.0.0.1:9093": sender.address}
        self.prometheus = servers.enter_context(
            Prometheus(directory / "prometheus", prometheus(directory / "prometheus", places))
        )
        self.scene.enrol()
        # GatecertDown fires until the first scrape: its five minutes are 0.3 s here.
        self.wait_for_alerts()
        servers.enter_context(sender)

    def wait_for_alerts(self, *names: str, seconds: float = 40) -> None:
        """Wait until exactly these alerts of the gateway fire."""
        wanted = {(name, "boston") for name in names}
        self.scene.gatecert.wait_for(
            lambda: self.prometheus.firing() == wanted, f"alerts {names}", seconds=seconds
        )

    def mails(self, recipient: str) -> list[EmailMessage]:
        """Return the mails to an address, in the order in which they came."""
        return [mail for mail in self._mailbox.mails if recipient in str(mail["To"])]

    def wait_for_mails(self, count: int) -> None:
        """Wait until Alertmanager and gatecert have sent so many mails each, and no more."""
        both = (OPERATORS, ADMINISTRATORS)
        wait_until(
            lambda: all(len(self.mails(each)) >= count for each in both),
            f"mail {count} to each",
            seconds=30,
            explain=lambda: "\n".join(self._mailbox.subjects),
        )
        time.sleep(SETTLED)
        counts = [len(self.mails(each)) for each in both]
        assert counts == [count, count], self._mailbox.subjects


def test_a_ca_that_is_down_is_told_once_and_its_recovery_once(
    tmp_path: Path, servers: ExitStack
) -> None:
    watched = Watched(tmp_path, servers, AFTER_15_SECONDS)
    watched.scene.pebble.process.stop()
    watched.wait_for_alerts("GatecertAttemptsFail")
    watched.wait_for_mails(1)
    watched.scene.pebble.start()
    watched.wait_for_alerts(seconds=RETRY)
    watched.wait_for_mails(2)

    alert, end = watched.mails(OPERATORS)
    assert alert["Subject"].startswith("[FIRING:1] GatecertAttemptsFail (boston ")
    assert "docs/doctor.md#attempts-each-gateway" in text_of(alert)
    assert end["Subject"].startswith("[RESOLVED] GatecertAttemptsFail (boston ")
    notice, recovery = subjects(watched.mails(ADMINISTRATORS))
    assert notice.startswith("gatecert: warning: boston: renewal failed once: CA pebble ")
    assert recovery == "gatecert: recovered: boston"


def test_a_name_that_moves_is_told_once_and_its_return_once(
    tmp_path: Path, servers: ExitStack
) -> None:
    watched = Watched(tmp_path, servers, {})
    scene = watched.scene
    scene.names.point(hostname("boston"), "127.0.0.99")
    scene.gatecert.look_again()
    watched.wait_for_alerts("GatecertNamePointsElsewhere")
    watched.wait_for_mails(1)
    scene.names.point(hostname("boston"), "127.0.0.1")
    scene.gatecert.look_again()
    watched.wait_for_alerts()
    watched.wait_for_mails(2)

    alert, end = subjects(watched.mails(OPERATORS))
    assert alert.startswith("[FIRING:1] GatecertNamePointsElsewhere (boston ")
    assert end.startswith("[RESOLVED] GatecertNamePointsElsewhere (boston ")
    assert subjects(watched.mails(ADMINISTRATORS)) == [
        "gatecert: warning: boston: boston.example.com no longer points at this gateway",
        "gatecert: recovered: boston",
    ]


def subjects(mails: list[EmailMessage]) -> list[str]:
    return [str(mail["Subject"]) for mail in mails]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())
