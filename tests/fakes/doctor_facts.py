"""Facts of a machine and a gateway with nothing wrong, for tests to change one at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.pki import unsigned

from gatecert.acme.directory_check import DirectoryReport
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.doctor.facts import ChallengeSelfTest, GatewayFacts, MachineFacts, Root
from gatecert.model import (
    CertificateSummary,
    Deployment,
    Endpoint,
    GatewayState,
    Identifier,
    IdentifierType,
    InstallPlan,
    NameResolution,
    Origin,
    Resolution,
    ResolutionKind,
    Target,
    Version,
)
from gatecert.resolve.caa import CaaPolicy
from gatecert.schedule.due import Situation
from gatecert.verify.served_chain import ServedChain

NOW = START


HOSTNAME = "vpn.example.com"


NAME = Identifier(IdentifierType.DNS, HOSTNAME)


LISTENER = Endpoint("127.0.0.1", 443)


STATE = Path("/var/lib/gatecert")


CONFIGURATION = Path("/etc/gatecert/config.yaml")


TARGET = Target(
    name="vpn",
    identifiers=(NAME,),
    display_name=HOSTNAME,
    addresses=("192.0.2.7",),
    authorities=("acme",),
    install=InstallPlan(reload=("/bin/true",), verify=(LISTENER,)),
)


SUMMARY = CertificateSummary(
    subject="CN=vpn.example.com",
    issuer="CN=Authority",
    identifiers=(NAME,),
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    fingerprint="aa",
    chain_fingerprints=("bb",),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="a.b",
)


VERSION = Version(
    "000002-x", "boston", b"", b"", Origin.AUTHORITY, "acme", created=NOW - 30 * DAY + HOUR
)


LIVE = StoredCertificate(VERSION, SUMMARY)


BOOTSTRAP = StoredCertificate(
    replace(VERSION, origin=Origin.BOOTSTRAP, created=NOW - HOUR),
    replace(SUMMARY, is_bootstrap=True, certificate_id=""),
)


SURVEY = DirectoryReport(
    "acme",
    "CA acme (ca.test)",
    clock_ahead=timedelta(0),
    identities=("ca.test",),
    account_url="https://ca.test/account/1",
)


HERE = NameResolution(HOSTNAME, ResolutionKind.HERE, ("192.0.2.7",), detail="it is here")


SERVED = ServedChain(LISTENER, "aa", ("bb",), "CN=vpn", "CN=Authority", NOW, ends_in_root=False)


def certificate(
    name: str, *, ends: datetime = NOW + 365 * DAY, issuer: str = ""
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate, signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        unsigned(
            subject,
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]),
            key.public_key(),
            begin=ends - 3650 * DAY,
            end=ends,
        ).sign(key, SHA256())
    ), key


ROOT = certificate("Root")[0]


def machine(**changes: object) -> MachineFacts:
    plain = MachineFacts(
        now=NOW,
        configuration=CONFIGURATION,
        gateways=1,
        state_directory=STATE,
        daemon=42,
        free=5 << 30,
        directory_reports={"acme": SURVEY},
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def situation(**changes: object) -> Situation:
    plain = Situation(
        target=TARGET,
        state=GatewayState(),
        live=SUMMARY,
        deployment=Deployment("000002-x", confirmed=NOW - MINUTE),
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def case(**changes: object) -> GatewayFacts:
    plain = GatewayFacts(
        now=NOW,
        target=TARGET,
        situation=situation(),
        live=LIVE,
        directory_reports=(SURVEY,),
        resolution=Resolution(NOW, (HERE,), ("192.0.2.7",)),
        policies=(CaaPolicy(HOSTNAME),),
        self_tests=(ChallengeSelfTest("http-01"),),
        by_name=(SERVED,),
        by_address=(SERVED,),
        root=Root("CN=Root", ROOT, "ff", trusted=True),
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist
