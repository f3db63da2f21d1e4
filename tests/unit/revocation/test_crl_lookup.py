"""Tests of downloading, caching and verifying CRLs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ReasonFlags
from tests.fakes.clock import DAY, NOW
from tests.fakes.crl import URL, crl, leaf, point, uri
from tests.fakes.pki import SERIAL, Pki, negated

from gatecert.errors import AuthorityUnreachableError, StorageError
from gatecert.model import RevocationReason, StoredList
from gatecert.revocation.crl_download import CrlDownload
from gatecert.revocation.crl_lookup import CrlLookup, RevocationReport

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.deadline import Deadline

OTHER = "http://ca.example/2.crl"
DELTA = "http://ca.example/delta.crl"
HOUR = timedelta(hours=1)


@dataclass
class Kept:
    """A CRL store in memory that may fail."""

    lists: dict[str, StoredList] = field(default_factory=dict)
    full: bool = False
    broken: bool = False

    def revocation_list(self, url: str) -> StoredList | None:
        if self.broken:
            raise StorageError("the disk is failing")
        return self.lists.get(url)

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        if self.full:
            raise StorageError("disk full")
        self.lists[url] = fresh


@dataclass
class Hosts:
    """Hosts of CRLs; each CRL's number is its entity tag."""

    lists: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False

    def __call__(
        self, url: str, deadline: Deadline, *, etag: str = "", last_modified: str = ""
    ) -> CrlDownload:
        self.asked.append((url, etag))
        if self.down or deadline.passed or url not in self.lists:
            raise AuthorityUnreachableError(f"{url} cannot be had")
        tag = f'"{hash(self.lists[url])}"'
        assert last_modified in {"", "then"}
        return CrlDownload(None if etag == tag else self.lists[url], tag, "then")

    def publish(self, made: x509.CertificateRevocationList, url: str = URL) -> None:
        self.lists[url] = made.public_bytes(Encoding.DER)


class World:
    """One issuer, one certificate, its CRLs, and a clock."""

    def __init__(self) -> None:
        self.root = Pki().root()
        self.certificate = leaf(self.root, point(URL))
        self.kept = Kept()
        self.hosts = Hosts()
        self.time = NOW
        self.lists = CrlLookup(self.kept, self.now, self.hosts)

    def now(self) -> datetime:
        return self.time

    def look_up(self, certificate: x509.Certificate | None = None) -> RevocationReport:
        strangers = [Pki().root().certificate, Pki().root("Else").certificate]
        issuers = [*strangers, self.root.certificate]
        report = self.lists.look_up(certificate or self.certificate, issuers)
        assert report is not None
        return report

    def forget_failures(self) -> None:
        self.lists.unreachable.clear()


@pytest.fixture
def world() -> World:
    return World()


def test_a_certificate_without_crls_is_not_looked_up(world: World) -> None:
    assert world.lists.look_up(leaf(world.root), [world.root.certificate]) is None
    assert world.hosts.asked == []


def test_a_valid_crl_without_the_certificate(world: World) -> None:
    world.hosts.publish(crl(world.root))
    assert world.look_up() == RevocationReport(source=URL, ends=NOW + DAY)


def test_a_valid_crl_with_the_certificate(world: World) -> None:
    world.hosts.publish(crl(world.root, [(world.certificate, ReasonFlags.key_compromise)]))
    report = world.look_up()
    assert report.entry is not None
    assert (report.entry.revoked, report.entry.reason) == (
        NOW - 2 * DAY,
        RevocationReason.KEY_COMPROMISE,
    )
    assert (report.source, report.problem) == (URL, "")


def test_a_crl_is_cached_and_requested_conditionally(world: World) -> None:
    world.hosts.publish(crl(world.root))
    first = world.look_up()
    world.time += HOUR
    assert world.look_up() == first
    assert [bool(etag) for _, etag in world.hosts.asked] == [False, True]
    assert world.kept.lists[URL].fetched == NOW + HOUR
    world.hosts.publish(crl(world.root, [(world.certificate, None)], begins=HOUR / 2))
    assert world.look_up().entry is not None


def test_a_cached_crl_counts_until_it_expires_while_the_host_is_down(world: World) -> None:
    world.hosts.publish(crl(world.root))
    world.look_up()
    world.hosts.down = True
    world.time += DAY - HOUR
    assert world.look_up() == RevocationReport(source=URL, ends=NOW + DAY)
    world.time += HOUR
    report = world.look_up()
    assert report.entry is None
    assert f"the CRL {URL} expired on 2026-11-24 08:15:00 UTC" in report.problem
    assert "cannot be had" in report.problem


def test_an_expired_crl_still_lists_revoked_certificates(world: World) -> None:
    world.hosts.publish(crl(world.root, [(world.certificate, None)], ends=-HOUR))
    assert world.look_up().entry is not None


def test_an_expired_crl_proves_no_certificate_unrevoked(world: World) -> None:
    world.hosts.publish(crl(world.root, ends=-HOUR))
    report = world.look_up()
    assert "expired" in report.problem
    assert "its host has no newer one" in report.problem


def test_an_unreachable_host_is_asked_once_for_all_gateways(world: World) -> None:
    world.hosts.down = True
    assert "cannot be had" in world.look_up().problem
    assert "cannot be had" in world.look_up(leaf(world.root, point(OTHER))).problem
    assert len(world.hosts.asked) == 1
    world.hosts.down = False
    world.hosts.publish(crl(world.root))
    world.forget_failures()
    assert world.look_up().problem == ""


def test_stopping_marks_no_host_unreachable(world: World) -> None:
    cancelled = threading.Event()
    cancelled.set()
    report = world.lists.look_up(world.certificate, [world.root.certificate], cancelled)
    assert report is not None
    assert report.problem
    assert world.lists.unreachable == {}


def test_a_forged_crl_is_refused_and_not_cached(world: World) -> None:
    world.hosts.publish(crl(world.root))
    good = world.look_up()
    forged = crl(Pki().root(), begins=-HOUR)
    world.hosts.publish(forged)
    assert world.look_up() == good
    world.kept.lists.clear()
    report = world.look_up()
    assert "not signed by the key of 'CN=Root'" in report.problem
    assert URL in report.problem
    assert world.kept.lists == {}


def test_an_older_crl_never_replaces_a_newer_one(world: World) -> None:
    world.hosts.publish(crl(world.root, [(world.certificate, None)]))
    assert world.look_up().entry is not None
    world.hosts.publish(crl(world.root, begins=-2 * DAY))
    assert world.look_up().entry is not None


def test_invalid_data_is_reported(world: World) -> None:
    world.hosts.lists[URL] = b"<html>"
    assert world.look_up().problem == f"{URL}: the data is not a CRL"


def test_a_negative_serial_number_cannot_be_listed(world: World) -> None:
    certificate = negated(leaf(world.root, point(URL), serial=SERIAL))
    assert "negative" in world.look_up(certificate).problem
    assert world.hosts.asked == []


def test_a_missing_issuer_is_reported(world: World) -> None:
    report = world.lists.look_up(world.certificate, [Pki().root().certificate])
    assert report == RevocationReport(problem="the issuer's certificate is missing")
    assert world.hosts.asked == []


def test_a_failing_disk_does_not_prevent_a_look_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.hosts.publish(crl(world.root))
    world.kept.full = True
    assert world.look_up().problem == ""
    world.kept.broken = True
    assert world.look_up().problem == ""
    assert "disk full" in caplog.text
    assert "disk is failing" in caplog.text


# --------------------------------------------------------------------- several lists


def test_the_next_url_is_tried(world: World) -> None:
    certificate = leaf(world.root, point("http://down.example/1", URL))
    world.hosts.publish(crl(world.root, part={"full_name": [uri(URL)]}))
    assert world.look_up(certificate) == RevocationReport(source=URL, ends=NOW + DAY)


def test_crls_for_some_reasons_count_together(world: World) -> None:
    leaked = frozenset({ReasonFlags.key_compromise, ReasonFlags.ca_compromise})
    certificate = leaf(world.root, point(URL), point(OTHER))
    one = {"full_name": [uri(URL)], "only_some_reasons": leaked}
    world.hosts.publish(crl(world.root, part=one))
    report = world.look_up(certificate)
    assert OTHER in report.problem
    world.forget_failures()
    world.hosts.publish(crl(world.root, ends=HOUR), OTHER)
    assert world.look_up(certificate) == RevocationReport(source=OTHER, ends=NOW + HOUR)
    world.hosts.publish(crl(world.root, [(certificate, ReasonFlags.superseded)]), OTHER)
    world.kept.lists.clear()
    assert world.look_up(certificate).entry is not None


def test_crls_that_leave_reasons_out_prove_nothing(world: World) -> None:
    leaked = frozenset({ReasonFlags.key_compromise})
    world.hosts.publish(crl(world.root, part={"only_some_reasons": leaked}))
    assert world.look_up().problem == "the CRLs do not cover every revocation reason"


def test_a_crl_for_covered_reasons_is_not_downloaded(world: World) -> None:
    certificate = leaf(world.root, point(URL), point(OTHER))
    world.hosts.publish(crl(world.root))
    assert world.look_up(certificate).problem == ""
    assert [url for url, _ in world.hosts.asked] == [URL]


# --------------------------------------------------------------------- deltas


def with_delta() -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.FreshestCRL([point(DELTA)]), False)]


def test_a_delta_crl_lists_new_revocations(world: World) -> None:
    world.hosts.publish(crl(world.root, extensions=with_delta()))
    assert world.look_up().entry is None
    world.forget_failures()
    revoked = [(world.certificate, ReasonFlags.superseded)]
    world.hosts.publish(crl(world.root, revoked, number=8, base=7), DELTA)
    report = world.look_up()
    assert report.entry is not None
    assert report.entry.reason is RevocationReason.SUPERSEDED


@pytest.mark.parametrize("changes", [{"base": 6, "number": 7}, {"base": 7, "ends": -HOUR}])
def test_a_delta_crl_that_does_not_apply_is_ignored(
    world: World, changes: dict[str, object]
) -> None:
    world.hosts.publish(crl(world.root, extensions=with_delta()))
    delta = crl(world.root, [(world.certificate, None)], **{"number": 8, **changes})  # type: ignore[arg-type] # names of parameters
    world.hosts.publish(delta, DELTA)
    report = world.look_up()
    assert (report.entry, report.problem) == (None, "")


def test_a_delta_crl_alone_proves_nothing(world: World) -> None:
    world.hosts.publish(crl(world.root, number=8, base=7))
    assert "it is only a delta CRL" in world.look_up().problem
