"""docs/gateways/mail.md"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from harness.mail import PORTS, MailLoop, begin_tls, connect
from harness.neighbour import run
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

from .conftest import HOSTNAME

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from tests.gateways.conftest import Open, Tell

    from harness.handshake import HandshakeLoop


def serves(port: int, root: Path | None = None) -> bool:
    """Return True if there is TLS (that is trusted) at a port."""
    try:
        with connect(port) as connection:
            begin_tls(connection, port, HOSTNAME, root).close()
    except OSError:
        return False
    return True


def test_mail(open_page: Open, tell: Tell, tmp_path: Path) -> None:
    scenario = open_page("mail")
    scenario.bootstrap()
    scenario.configure_server()
    log = tmp_path / "postfix.log"
    run(program("postconf"), "-e", f"maillog_file={log}", f"maillog_file_prefixes={tmp_path}")
    scenario.servers.callback(run, program("postfix"), "stop")
    run(program("postfix"), "start")
    dovecot = BackgroundProcess([program("dovecot"), "-F"], log=tmp_path / "dovecot.log")
    scenario.servers.enter_context(dovecot)
    for port in PORTS:
        wait_until(
            lambda port=port: serves(port),  # type: ignore[misc]
            f"a server at port {port}",
            explain=lambda: f"{log.read_text()}\n{dovecot.tail()}",
        )
    assert not any(serves(port, scenario.root) for port in PORTS)

    scenario.trust()
    assert all(serves(port, scenario.root) for port in PORTS)
    with ExitStack() as running:
        loops: list[HandshakeLoop] = [
            running.enter_context(
                MailLoop("127.0.0.1", port, HOSTNAME, interval=0.02, trusted=scenario.root)
            )
            for port in PORTS
        ]
        open_connections = {port: running.enter_context(connect(port)) for port in PORTS}
        sessions = [
            running.enter_context(begin_tls(connection, port, HOSTNAME, scenario.root))
            for port, connection in open_connections.items()
        ]
        seconds = scenario.renew()
        for loop in loops:
            loop.wait_for_leaves(2)
        answers = [ask(session) for session in sessions]

    assert all(answers)
    assert [each for loop in loops for each in loop.failures] == []
    count = sum(len(loop.handshakes) for loop in loops)
    tell(
        f"Postfix and Dovecot: renewed in {seconds:.2f} s at {len(loops)} ports; "
        f"0 of {count} new connections refused, open sessions went on"
    )


def ask(session: ssl.SSLSocket) -> bool:
    """Send a command that IMAP and SMTP have; return True if the server answers."""
    session.sendall(b"NOOP NOOP\r\n")
    return bool(session.recv(4096))
