"""A gateway that is down is distinguished from one that serves another certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gatecert.model import CertificateSummary, Endpoint, FailureKind, Probe
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.watch import WatchResult, WatchState, compare, is_silent

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
ONE, TWO = Endpoint("127.0.0.1", 443), Endpoint("127.0.0.1", 8443)
SUMMARY = CertificateSummary("", "", (), NOW, NOW, "aa", ("bb",), "", False, "")  # noqa: FBT003 - by order
RIGHT = ServedChain(ONE, "aa", ("bb",), "CN=gate", "CN=issuer", NOW, ends_in_root=False)
OTHER = ServedChain(TWO, "ee", (), "CN=other", "CN=issuer", NOW, ends_in_root=False)


def failure(kind: FailureKind, endpoint: Endpoint = TWO) -> ProbeFailure:
    return ProbeFailure(endpoint, kind, f"shows {kind}")


def test_all_listeners_match() -> None:
    assert compare([RIGHT], SUMMARY) == WatchResult(WatchState.SERVED)
    assert compare([], SUMMARY) == WatchResult(WatchState.SERVED)


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.NAME,
        FailureKind.REFUSED,
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.RESET,
    ],
)
def test_no_answer_is_silence(kind: FailureKind) -> None:
    assert is_silent(failure(kind))
    sight = compare([RIGHT, failure(kind)], SUMMARY)
    assert sight == WatchResult(
        WatchState.SILENT, ("127.0.0.1:8443",), f"127.0.0.1:8443 shows {kind}"
    )


@pytest.mark.parametrize("kind", [FailureKind.NOT_TLS, FailureKind.HANDSHAKE])
def test_a_failed_handshake_is_drift(kind: FailureKind) -> None:
    assert not is_silent(failure(kind))
    assert compare([failure(kind)], SUMMARY).state is WatchState.DRIFTED


def test_drift_outweighs_silence() -> None:
    sight = compare([failure(FailureKind.REFUSED, ONE), OTHER], SUMMARY)
    assert sight.state is WatchState.DRIFTED
    assert "127.0.0.1:443 shows refused; 127.0.0.1:8443 still serves" in sight.detail


def test_a_missing_intermediate_is_drift() -> None:
    bare = ServedChain(ONE, "aa", (), "CN=gate", "CN=issuer", NOW, ends_in_root=False)
    assert compare([bare], SUMMARY).state is WatchState.DRIFTED
    assert not is_silent(bare)


def test_a_failed_command_is_drift_unless_a_silent_listener_explains_it() -> None:
    yes = Probe(None, "aa", matches=True, detail="says so")
    no = Probe(None, "", matches=False, detail="verify_command x says no")
    assert compare([RIGHT], SUMMARY, yes) == WatchResult(WatchState.SERVED)
    assert compare([], SUMMARY, yes) == WatchResult(WatchState.SERVED)
    assert compare([RIGHT], SUMMARY, no) == WatchResult(
        WatchState.DRIFTED, (), "verify_command x says no"
    )
    assert compare([], SUMMARY, no).state is WatchState.DRIFTED
    silent = compare([failure(FailureKind.REFUSED)], SUMMARY, no)
    assert silent.state is WatchState.SILENT
    assert silent.detail.endswith("; verify_command x says no")


def test_a_listener_that_serves_both_is_mixed_and_one_for_another_key_is_not() -> None:
    other = replace(OTHER, endpoint=ONE)
    assert compare([RIGHT, other], SUMMARY).state is WatchState.MIXED
    keys = [replace(RIGHT, algorithm="ecdsa"), replace(other, algorithm="rsa")]
    assert compare(keys, SUMMARY).state is WatchState.DRIFTED
    assert (
        compare([RIGHT, other, failure(FailureKind.HANDSHAKE)], SUMMARY).state is WatchState.DRIFTED
    )
