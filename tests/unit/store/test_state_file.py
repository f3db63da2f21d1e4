"""``state.json`` is one flat object, as before the split of the state."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.model import (
    AddressRecords,
    AuthorityFailure,
    ChallengeFailure,
    DdnsState,
    EnrolmentState,
    ExpiryNotice,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    NameResolution,
    OrderBlocker,
    Outcome,
    OutcomeKind,
    PastOutcome,
    PendingOrder,
    RecordKind,
    RenewalInfo,
    Resolution,
    ResolutionKind,
    RevocationState,
)
from gatecert.store.codec import decode, encode

if TYPE_CHECKING:
    from gatecert.store.file_store import FileStore

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = (Identifier(IdentifierType.DNS, "vpn.example.com"),)
DIRECTORY = "https://ca.test/directory"
STATE = GatewayState(
    EnrolmentState(
        failures=3,
        failed_at=AT,
        next_attempt=AT + DAY,
        order=PendingOrder("ca", DIRECTORY, "https://ca.test/order/1", "order-1", NAMES, AT),
        second_order=PendingOrder(
            "ca", DIRECTORY, "https://ca.test/order/2", "order-second-1", NAMES, AT, "a.b"
        ),
        renewal=RenewalInfo("a.b", AT + DAY, AT + 30 * DAY, "https://ca.test/why", 1),
        challenge_failures=(ChallengeFailure("vpn.example.com", "http-01", AT, "refused"),),
        troubles=(
            AuthorityFailure(
                "ca", AT, 2, AT + DAY, "paused", validation_failed=True, fix="unpause it"
            ),
        ),
        revocation=RevocationState("ef", AT + DAY, checked=AT, source="http://ca.test/1.crl"),
        accepted_roots=("CN=Staging Root",),
    ),
    HostState(
        resolution=Resolution(
            AT,
            (NameResolution("vpn.example.com", ResolutionKind.HERE, ("192.0.2.7",)),),
            ("192.0.2.7",),
            AT,
        ),
        next_look=AT + DAY,
        obstruction=OrderBlocker("caa-forbids", AT, AT + DAY),
        outcome=Outcome("vpn", AT, OutcomeKind.FAILED, "refused", "acme", seconds=2.5),
        history=(PastOutcome(AT, OutcomeKind.FAILED, "refused", "acme", AT),),
        expiry_notice=ExpiryNotice("ab", 7),
        authority_notices=(ExpiryNotice("cd", 30),),
        ddns=DdnsState("zone", (AddressRecords(RecordKind.A, ("192.0.2.7",)),), AT, AT, AT + DAY),
    ),
)
# As gatecert wrote it before the state had two parts
WRITTEN = b"""{
  "schema": 1,
  "failures": 3,
  "failed_at": "2026-11-23T12:00:00Z",
  "next_attempt": "2026-11-24T12:00:00Z",
  "resolution": {
    "at": "2026-11-23T12:00:00Z",
    "names": [
      {"name": "vpn.example.com", "kind": "here", "answers": ["192.0.2.7"], "wrong": [],
       "time_to_live": null, "detail": "", "required": true, "warning": ""}
    ],
    "expected": ["192.0.2.7"],
    "unchanged_since": "2026-11-23T12:00:00Z"
  },
  "next_look": "2026-11-24T12:00:00Z",
  "order": {
    "authority": "ca",
    "directory_url": "https://ca.test/directory",
    "url": "https://ca.test/order/1",
    "request_id": "order-1",
    "identifiers": [{"type": "dns", "value": "vpn.example.com"}],
    "created": "2026-11-23T12:00:00Z",
    "replaces": ""
  },
  "renewal": {
    "certificate_id": "a.b",
    "next_fetch": "2026-11-24T12:00:00Z",
    "renew_at": "2026-12-23T12:00:00Z",
    "explanation_url": "https://ca.test/why",
    "failures": 1
  },
  "obstruction": {
    "code": "caa-forbids",
    "at": "2026-11-23T12:00:00Z",
    "until": "2026-11-24T12:00:00Z"
  },
  "outcome": {
    "gateway": "vpn",
    "at": "2026-11-23T12:00:00Z",
    "kind": "failed",
    "detail": "refused",
    "code": "acme",
    "fix": "",
    "next_action": "",
    "next_at": null,
    "wake_at": null,
    "seconds": 2.5
  },
  "expiry_notice": {"fingerprint": "ab", "days": 7},
  "challenge_failures": [
    {"name": "vpn.example.com", "kind": "http-01", "at": "2026-11-23T12:00:00Z",
     "reason": "refused"}
  ],
  "authority_notices": [{"fingerprint": "cd", "days": 30}],
  "troubles": [
    {"name": "ca", "at": "2026-11-23T12:00:00Z", "failures": 2,
     "left_until": "2026-11-24T12:00:00Z", "reason": "paused", "validation_failed": true,
     "fails": false, "fix": "unpause it"}
  ],
  "revocation": {
    "fingerprint": "ef",
    "next_look": "2026-11-24T12:00:00Z",
    "checked": "2026-11-23T12:00:00Z",
    "revoked": null,
    "reason": "unspecified",
    "source": "http://ca.test/1.crl",
    "new_key": false,
    "failures": 0,
    "problem": "",
    "fix": ""
  },
  "second_order": {
    "authority": "ca",
    "directory_url": "https://ca.test/directory",
    "url": "https://ca.test/order/2",
    "request_id": "order-second-1",
    "identifiers": [{"type": "dns", "value": "vpn.example.com"}],
    "created": "2026-11-23T12:00:00Z",
    "replaces": "a.b"
  },
  "accepted_roots": ["CN=Staging Root"],
  "ddns": {
    "stamp": "zone",
    "published": [{"kind": "A", "addresses": ["192.0.2.7"]}],
    "published_at": "2026-11-23T12:00:00Z",
    "looked_at": "2026-11-23T12:00:00Z",
    "next_look": "2026-11-24T12:00:00Z",
    "next_check": null,
    "failures": 0,
    "not_before": null,
    "retry_at": null,
    "problem": null
  },
  "history": [
    {"at": "2026-11-23T12:00:00Z", "kind": "failed", "detail": "refused", "code": "acme",
     "since": "2026-11-23T12:00:00Z", "times": 1}
  ]
}
"""


def test_a_file_of_an_earlier_release_is_read(store: FileStore) -> None:
    path = store.gateway_directory("vpn") / "state.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(WRITTEN)
    assert store.state("vpn") == STATE
    assert path.read_bytes() == WRITTEN


def test_an_earlier_release_finds_every_field_where_it_was(store: FileStore) -> None:
    store.save_state("vpn", STATE)
    now = json.loads((store.gateway_directory("vpn") / "state.json").read_bytes())
    before = json.loads(WRITTEN)
    assert {key: now.get(key) for key in before} == before


@pytest.mark.parametrize("part", [STATE.enrolment, STATE.host], ids=["enrolment", "host"])
def test_each_part_can_be_kept_in_a_place_of_its_own(part: EnrolmentState | HostState) -> None:
    kept = encode(part)
    assert decode(type(part), kept) == part
    assert decode(type(part), WRITTEN) == part
    assert json.loads(kept).keys() == {"schema", *(each.name for each in fields(part))}
