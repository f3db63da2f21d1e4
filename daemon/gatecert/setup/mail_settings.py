"""Postfix and Dovecot: the certificate of SMTP with STARTTLS, and of IMAP (docs/gateways/mail.md).

``smtpd_tls_chain_files`` (Postfix 3.4) takes precedence over the older settings, which stay. A file
of its own in Dovecot's conf.d is read last. One gateway serves both, or the one that is installed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gatecert.setup.server_plan import Edit, ServerPlan, Wanted

MAIN: Final = Path("/etc/postfix/main.cf")
CHAIN_FILES: Final = "smtpd_tls_chain_files"
DOVECOT: Final = Path("/etc/dovecot/dovecot.conf")
DROP_IN: Final = Path("/etc/dovecot/conf.d/99-gatecert.conf")
RENAMED: Final = (2, 4)  # Dovecot's first version with ssl_server_cert_file
LISTENERS: Final[tuple[tuple[int, object], ...]] = (
    (25, {"address": "127.0.0.1:25", "starttls": "smtp"}),
    (587, {"address": "127.0.0.1:587", "starttls": "smtp"}),
    (465, "127.0.0.1:465"),
    (143, {"address": "127.0.0.1:143", "starttls": "imap"}),
    (993, "127.0.0.1:993"),
    (995, "127.0.0.1:995"),
)


def plan(wanted: Wanted) -> ServerPlan:
    """Return what has to change at both servers."""
    has_postfix, has_dovecot = wanted.read(MAIN) is not None, wanted.read(DOVECOT) is not None
    postfix, dovecot = _postfix(wanted), _dovecot(wanted)
    parts = [part for part, here in ((postfix, has_postfix), (dovecot, has_dovecot)) if here]
    ports = {each.port for each in wanted.host.listeners if not each.is_udp}
    verify = [listener for port, listener in LISTENERS if port in ports]
    return ServerPlan(
        units=tuple(unit for part in parts for unit in part.units),
        install={"verify": verify} if verify else {},
        edits=tuple(edit for part in parts for edit in part.edits),
        commands=tuple(command for part in parts for command in part.commands),
        touched=tuple(path for part in parts for path in part.touched),
        shown={where: lines for part in parts for where, lines in part.shown.items()},
        by_hand=next((part.by_hand for part in parts if part.by_hand), "")
        or ("" if parts else f"there is neither {MAIN} nor {DOVECOT}"),
        tests=tuple(test for part in parts for test in part.tests),
        reload=("systemctl", "reload", *(unit for part in parts for unit in part.units)),
        page="mail",
    )


def names(wanted: Wanted) -> list[str]:
    """Return the name that Postfix greets clients with."""
    name = wanted.output(("postconf", "-h", "myhostname")).strip().lower()
    return [name] if "." in name else []


def _postfix(wanted: Wanted) -> ServerPlan:
    """Return what has to change in main.cf."""
    value = f"{wanted.key} {wanted.fullchain}"
    current = wanted.output(("postconf", "-h", CHAIN_FILES))
    is_set = re.split(r"[\s,]+", current.strip()) == value.split()
    command = ("postconf", "-e", f"{CHAIN_FILES}={value}")
    return ServerPlan(
        units=("postfix.service",),
        install={},
        commands=() if is_set else ((command, ()),),
        touched=() if is_set else (MAIN,),
        shown={str(MAIN): (f"{CHAIN_FILES} = {value}", "smtpd_tls_security_level = may")},
        tests=(("postfix", "check"),),
    )


def _dovecot(wanted: Wanted) -> ServerPlan:
    """Return the file to add to Dovecot's conf.d."""
    version = re.match(r"(\d+)\.(\d+)", wanted.output(("dovecot", "--version")))
    if version and (int(version[1]), int(version[2])) >= RENAMED:
        pair = (f"ssl_server_cert_file = {wanted.fullchain}", f"ssl_server_key_file = {wanted.key}")
    else:
        pair = (f"ssl_cert = <{wanted.fullchain}", f"ssl_key = <{wanted.key}")
    before, main = wanted.read(DROP_IN), wanted.read(DOVECOT) or ""
    heading = f"# Added by gatecert init for the gateway {wanted.gateway}."
    text = "\n".join([heading, "ssl = yes", *pair, ""])
    by_hand = ""
    if not re.search(r"^\s*!include\s+conf\.d/\*\.conf", main, re.MULTILINE):
        by_hand = f"{DOVECOT} does not include conf.d/*.conf"
    elif before is not None and before != text:
        by_hand = f"{DROP_IN} exists already, for another gateway"
    return ServerPlan(
        units=("dovecot.service",),
        install={},
        edits=(Edit(DROP_IN, before, text),) if not by_hand and before != text else (),
        shown={str(DROP_IN): ("ssl = yes", *pair)},
        by_hand=by_hand,
        tests=(("doveconf", "-n"),),
    )
