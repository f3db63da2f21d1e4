"""Find what is certain to make an order fail, before the order is placed.

The same functions serve the doctor: the outcome of ``enroll`` and of the daemon has the code that
``gatecert doctor`` shows, and no attempt is counted. An order that may succeed is placed: a lookup
that fails here may succeed from the CA's network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.acme.directory_check import DirectoryReport, DirectorySource
from gatecert.certificate.chain import CLOCK_SKEW
from gatecert.challenge.solver import Solver
from gatecert.doctor.enrolment_checks import caa_finding, challenge_failure
from gatecert.doctor.gather import domain_names, self_test_challenges
from gatecert.doctor.machine_checks import clock_finding, profile_finding, terms_finding
from gatecert.resolve.caa import CaaResolver

if TYPE_CHECKING:
    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.doctor.finding import Finding
    from gatecert.model import Target


@dataclass(frozen=True, slots=True)
class Preconditions:
    """Checks before an order.

    Attributes:
        authorities: By their name in the configuration.
        solvers: By challenge type.
        cancelled: Set when the process is stopping.
    """

    authorities: Mapping[str, DirectorySource]
    solvers: Mapping[str, Solver]
    resolver: CaaResolver
    cancelled: threading.Event = field(default_factory=threading.Event)

    def find(
        self, target: Target, authority: str, in_use: StoredCertificate | None
    ) -> Finding | None:
        """Return the first finding that is certain to make an order fail; None if there is none.

        Args:
            target: The gateway.
            authority: The authority of the order.
            in_use: The certificate that the order would replace.

        Raises:
            AuthorityError: The authority cannot be reached.
        """
        report = self.authorities[authority].check_directory(self.cancelled)
        findings = self._findings(target, report, in_use)
        return next((finding for finding in findings if finding.recheck_after is not None), None)

    def _findings(
        self, target: Target, report: DirectoryReport, in_use: StoredCertificate | None
    ) -> Iterator[Finding]:
        """Run the checks in order, each only if those before found nothing."""
        yield clock_finding(report, CLOCK_SKEW + backdating(report.name, in_use))
        yield terms_finding(report)
        yield profile_finding(report)
        if target.is_looked_up:
            yield caa_finding(self.resolver.look_up_caa(domain_names(target)), report, target)
        challenge = challenge_failure(
            self_test_challenges(self.solvers, target, [report]), target.name
        )
        if challenge is not None:
            yield challenge


def backdating(authority: str, in_use: StoredCertificate | None) -> timedelta:
    """Return how far an authority backdated the certificate in use.

    Public CAs backdate by about an hour, so a clock that is behind by less does no harm.
    """
    if in_use is None or in_use.version.created is None or in_use.version.authority != authority:
        return timedelta(0)
    return max(timedelta(0), in_use.version.created - in_use.summary.not_before)
