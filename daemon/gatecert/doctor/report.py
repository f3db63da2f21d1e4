"""The JSON of ``gatecert doctor --json``, described in docs/doctor.md.

``schema`` changes only if a field is removed or changes its meaning; new fields, checks and codes
may be added.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from gatecert.doctor.finding import Severity
from gatecert.report.gateway_status import as_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gatecert.doctor.checks import Result
    from gatecert.doctor.facts import GatewayFacts

SCHEMA = 1


def count(results: Iterable[Result]) -> Counter[Severity]:
    """Count the findings of each severity."""
    return Counter(result.finding.severity for result in results)


def as_json(results: Sequence[Result], gateways: Iterable[GatewayFacts], *, now: datetime) -> str:
    """Return a diagnosis as JSON.

    Args:
        results: The findings, in order.
        gateways: The gateways, for the roots that their clients must trust.
        now: Time of the diagnosis.
    """
    found = count(results)
    document = {
        "schema": SCHEMA,
        "time": now,
        "healthy": not found[Severity.FAILURE],
        "failures": found[Severity.FAILURE],
        "warnings": found[Severity.WARNING],
        "findings": [
            {
                "check": result.check,
                "code": result.finding.code,
                "severity": result.finding.severity,
                "gateway": result.finding.gateway,
                "seen": result.finding.seen,
                "meaning": result.finding.meaning,
                "fix": result.finding.fix,
                "holds_enrolment": result.finding.recheck_after is not None,
            }
            for result in results
        ],
        "roots": [
            {
                "gateway": facts.name,
                "name": facts.root.name,
                "sha256": facts.root.fingerprint,
                "trusted_here": facts.root.trusted,
            }
            for facts in gateways
            if facts.root is not None
        ],
    }
    return as_document(document)


def roots_pem(gateways: Iterable[GatewayFacts]) -> bytes:
    """Return the roots that clients must trust, PEM, each once; empty if none is known."""
    roots = {
        facts.root.certificate: None
        for facts in gateways
        if facts.root is not None and facts.root.certificate is not None
    }
    return b"".join(root.public_bytes(Encoding.PEM) for root in roots)
