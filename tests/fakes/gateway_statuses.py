"""Statuses of gateways in every condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gatecert.model import DeferredAuthority, Mode
from gatecert.report.gateway_status import (
    SENTENCES,
    ClientAuthenticationStatus,
    ClientAuthority,
    Condition,
    GatewayStatus,
    LastError,
    PlannedChallenge,
    RevocationStatus,
    SecondCertificate,
)

NOW = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)

BOSTON = GatewayStatus(
    name="boston",
    hostname="boston.example.com",
    mode=Mode.AUTOMATIC,
    state=Condition.TRUSTED,
    words=SENTENCES[Condition.TRUSTED],
    detail="the certificate of boston.example.com is installed, proven at 127.0.0.1:443",
    names=("boston.example.com",),
    issuer="CN=R11,O=Let's Encrypt,C=US",
    authority="letsencrypt",
    version="000002-20261128T104500Z",
    fingerprint="ab" * 32,
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    days_left=60,
    served=True,
    served_at=NOW - 3 * HOUR,
    served_detail="",
    next_action="enrol: renewal due at one third of its lifetime",
    next_at=NOW + 59 * DAY,
    failures=0,
    last_error=None,
)


def gateway(name: str, state: Condition = Condition.TRUSTED, **changes: object) -> GatewayStatus:
    """Return the status of a gateway like boston, with changes."""
    plain = replace(
        BOSTON,
        name=name,
        hostname=f"{name}.example.com",
        names=(f"{name}.example.com",),
        state=state,
        words=SENTENCES[state],
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def error(code: str, message: str, fix: str = "", age: timedelta = HOUR) -> LastError:
    """Return the error of the last pass."""
    return LastError(code, message, fix, NOW - age)


BOOTSTRAP = {"issuer": "CN=bootstrap", "authority": "", "served": None, "served_at": None}
REFUSED = error(
    "acme",
    "letsencrypt: the order was refused: urn:ietf:params:acme:error:rejectedIdentifier: The ACME"
    " server refuses to issue a certificate for this domain name, because it is forbidden by"
    " policy; see https://letsencrypt.org/docs/rejected?name=kiel.example.com",
    "use another name, or ask the CA to allow this one",
)

EVERY_STATE = (
    BOSTON,
    gateway("private", Condition.PRIVATE_ROOT),
    gateway(
        "kiel",
        Condition.FAILING,
        **BOOTSTRAP,
        failures=3,
        last_error=REFUSED,
        next_action="enrol: only a self-signed certificate is in use",
        next_at=NOW + 2 * HOUR,
    ),
    gateway("lyon", failures=1, last_error=error("dns", "ns1.example.com answers SERVFAIL")),
    gateway(
        "oslo",
        Condition.NOT_SERVED,
        served=False,
        served_detail="127.0.0.1:443 serves the certificate old.example.com",
        last_error=error(
            "not-served",
            "127.0.0.1:443 serves the certificate old.example.com",
            "check install.reload and the log of the server",
        ),
    ),
    gateway(
        "bern",
        Condition.SILENT,
        served=False,
        last_error=error(
            "listener-silent",
            "127.0.0.1:443 refuses connections",
            "start the gateway's server; gatecert checks it again",
        ),
    ),
    gateway(
        "hq",
        Condition.BOOTSTRAP,
        **BOOTSTRAP,
        mode=Mode.CUSTOM,
        warning="waits for an imported certificate",
        warning_fix="make a CSR with gatecert csr hq, have it signed, then: gatecert import hq"
        " --certificate FILE --chain FILE",
    ),
    gateway("lab", mode=Mode.CUSTOM, next_action="none: warning: the certificate ends in 30 days"),
    gateway(
        "new",
        Condition.BOOTSTRAP,
        **BOOTSTRAP,
        next_at=NOW,
        next_action="enrol: only a self-signed certificate is in use",
    ),
    gateway(
        "pace",
        Condition.WAITING,
        **BOOTSTRAP,
        last_error=error(
            "budget-spent",
            "letsencrypt allows no order until 12:00",
            "no action needed; set authorities.letsencrypt.limits",
        ),
    ),
    gateway(
        "rome",
        Condition.WAITING,
        **BOOTSTRAP,
        last_error=error(
            "name-not-here",
            "rome.example.com resolves to 198.51.100.7, this gateway has 203.0.113.7",
            "point the name at this gateway",
        ),
    ),
    gateway(
        "beijing",
        Condition.SKIPPED,
        **BOOTSTRAP,
        detail="region cn is configured for this gateway and is never enrolled; the gateway"
        " keeps its self-signed certificate",
    ),
    gateway(
        "late",
        Condition.EXPIRED,
        not_after=NOW - 3 * DAY,
        next_at=NOW,
        failures=7,
        last_error=error(
            "authority-unreachable",
            "letsencrypt cannot be reached: no route",
            "check this machine's network",
        ),
    ),
    gateway("void", Condition.EMPTY, names=(), issuer="", not_after=None),
    gateway(
        "gone",
        Condition.REVOKED,
        next_at=NOW,
        revocation=RevocationStatus(
            revoked=True,
            revoked_at=NOW - 5 * HOUR,
            reason="keyCompromise",
            source="http://ca.example/1.crl",
            checked_at=NOW,
            problem="",
        ),
    ),
    gateway(
        "fresh",
        Condition.UNPROVEN,
        served=None,
        served_at=None,
        next_at=NOW + 3 * HOUR / 60,
        next_action="deploy: the installed certificate is not yet verified on every listener",
    ),
    gateway("split", Condition.MIXED, served=False, served_detail="127.0.0.1:443 shows two"),
)

CLIENT_CA = ClientAuthority(
    subject="CN=Users",
    issuer="CN=Users",
    fingerprint="cd" * 32,
    is_root=True,
    not_before=NOW - DAY,
    not_after=NOW + 20 * DAY,
    days_left=20,
)
FULL = gateway(
    "full",
    names=("full.example.com", "www.example.com"),
    failures=2,
    next_at=NOW + 2 * HOUR,
    last_error=REFUSED,
    warning="www.example.com: AAAA cannot be looked up",
    warning_fix="fix the nameservers of the name",
    challenges=(
        PlannedChallenge("full.example.com", "http-01", ""),
        PlannedChallenge("www.example.com", "dns-01", "http-01 failed at 08:00: refused"),
    ),
    authorities_left=(DeferredAuthority("zerossl", NOW + DAY, "asks to wait"),),
    second=SecondCertificate("rsa", "CN=R12", "ef" * 32, NOW, NOW + 30 * DAY),
    revocation=RevocationStatus(
        revoked=None,
        revoked_at=None,
        reason="",
        source="",
        checked_at=None,
        problem="http://ca.example/1.crl answers 404",
    ),
    client_authentication=ClientAuthenticationStatus(
        "/state/bundle.pem",
        (CLIENT_CA,),
        asked=False,
        asked_at=None,
        error="127.0.0.1:443 asks for no certificate",
        warnings=("the client CA 'CN=Users' expires soon: add a newer one",),
    ),
)
