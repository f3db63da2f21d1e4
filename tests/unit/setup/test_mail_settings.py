"""Postfix and Dovecot: one gateway for the servers that are installed."""

from __future__ import annotations

from tests.fakes.server_files import LIVE, ServerFiles, host

from gatecert.setup.mail_settings import names, plan

MAIN, DOVECOT = "/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf"
DROP_IN = "/etc/dovecot/conf.d/99-gatecert.conf"
INCLUDES = "!include conf.d/*.conf\n"
CHAIN = f"{LIVE}/privkey.pem {LIVE}/fullchain.pem"
VERSION = ("dovecot", "--version")
SET = ("postconf", "-h", "smtpd_tls_chain_files")


def test_both_servers_and_every_port_that_they_have() -> None:
    here = host(("master", 25), ("dovecot", 143), ("dovecot", 993))
    server = ServerFiles(
        {MAIN: "", DOVECOT: INCLUDES}, {VERSION: "2.3.19.1 (9b53102964)"}, host=here
    )

    found = plan(server.wanted())

    assert found.units == ("postfix.service", "dovecot.service")
    assert found.install == {
        "verify": [
            {"address": "127.0.0.1:25", "starttls": "smtp"},
            {"address": "127.0.0.1:143", "starttls": "imap"},
            "127.0.0.1:993",
        ]
    }
    assert found.commands == ((("postconf", "-e", f"smtpd_tls_chain_files={CHAIN}"), ()),)
    assert [str(path) for path in found.touched] == [MAIN]
    (edit,) = found.edits
    assert str(edit.path) == DROP_IN
    assert f"ssl_cert = <{LIVE}/fullchain.pem" in edit.after


def test_names_of_settings_in_dovecot_2_4() -> None:
    server = ServerFiles({DOVECOT: INCLUDES}, {VERSION: "2.4.1"})

    found = plan(server.wanted())

    assert found.units == ("dovecot.service",)
    assert f"ssl_server_key_file = {LIVE}/privkey.pem" in found.edits[0].after


def test_a_change_that_was_made_is_complete() -> None:
    server = ServerFiles({MAIN: "", DOVECOT: INCLUDES}, {SET: CHAIN.replace(" ", ", ")})
    server.files[DROP_IN] = plan(server.wanted()).edits[0].after

    assert plan(server.wanted()).is_complete


def test_what_is_not_certain_is_left_to_the_operator() -> None:
    assert "does not include" in plan(ServerFiles({DOVECOT: ""}).wanted()).by_hand
    other = ServerFiles({DOVECOT: INCLUDES, DROP_IN: "ssl_cert = </other\n"})
    assert "exists already" in plan(other.wanted()).by_hand
    assert "there is neither" in plan(ServerFiles().wanted()).by_hand


def test_names() -> None:
    command = ("postconf", "-h", "myhostname")

    assert names(ServerFiles({}, {command: "mail.widgets.test"}).wanted()) == ["mail.widgets.test"]
    assert names(ServerFiles({}, {command: "localhost"}).wanted()) == []
