"""Checks of what an order requires: region, names, CAA records, a challenge. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.acme.directory_check import DirectoryReport
from gatecert.doctor import codes
from gatecert.errors import AddressInUseError, RecordNotVisibleError, ResolutionError, StateError
from gatecert.model import DdnsState, ResolutionKind
from gatecert.resolve.caa import CaaRequest, issuance_refusal
from gatecert.resolve.region import exclusion_reason
from gatecert.resolve.shared_hostname import unreached_members_advice
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.doctor.facts import ChallengeSelfTest, GatewayFacts
    from gatecert.doctor.finding import Finding
    from gatecert.model import Target
    from gatecert.resolve.caa import CaaPolicy

_TESTED = {"http-01": "test response reachable", "tls-alpn-01": "test certificate reachable"}


def region(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether the gateway's region is enrolled."""
    excluded = facts.situation.excluded_region
    if excluded:
        yield codes.REGION_EXCLUDED.found(
            exclusion_reason(excluded, facts.target), gateway=facts.name
        )
    elif facts.enrols:
        origin = facts.target.region or "derived from the hostname"
        yield codes.REGION_OK.found(f"enrolment allowed (region {origin})", gateway=facts.name)


def dynamic_dns(facts: GatewayFacts) -> Iterator[Finding]:
    """Report whether gatecert keeps the address records, if it is to."""
    if not facts.target.keeps_records:
        return
    state = facts.situation.state.host.ddns or DdnsState()
    problem, name = state.problem, facts.name
    if problem is not None:
        code = codes.OF_DDNS.get(problem.code, codes.DDNS)
        seen = f"since {instant(problem.since)}: {problem.detail}"
        yield code.found(seen, gateway=name, fix=problem.fix)
    elif state.published_at is None:
        yield codes.DDNS_PENDING.found("nothing was published yet", gateway=name)
    else:
        records = ", ".join(map(str, state.published))
        seen = f"{facts.target.hostname} {records}, {instant(state.published_at)}"
        yield codes.DDNS_OK.found(seen, gateway=name)


def names(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether the names resolve to this gateway."""
    if not facts.target.is_looked_up:
        yield codes.NAMES_NOT_LOOKED_UP.found("not looked up", gateway=facts.name)
    resolution = facts.resolution
    if resolution is None:
        return
    if isinstance(resolution, ResolutionError):
        yield codes.RESOLUTION.found(resolution.message, gateway=facts.name, fix=resolution.fix)
        return
    for name in resolution.names:
        if name.kind in {ResolutionKind.HERE, ResolutionKind.BEHIND_NAT}:
            code = codes.NAMES_OK if name.kind is ResolutionKind.HERE else codes.BEHIND_NAT
            code = codes.NAME_PARTLY_UNKNOWN if name.warning else code
        elif name.required and facts.enrols:
            code = codes.BY_RESOLUTION[name.kind]
        else:
            code = codes.NAME_ELSEWHERE
        yield code.found(name.detail, gateway=facts.name)


def pair(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether the hosts of a pair can be enrolled; those of a fleet answer for each other."""
    if facts.cluster is not None:
        return
    why = unreached_members_advice(facts.target, behind_nat=facts.behind_nat)
    if why:
        yield codes.USE_CUSTOM_MODE.found(why, gateway=facts.name)


def caa(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether CAA records let each authority issue."""
    if not facts.target.is_looked_up:
        return
    for report in facts.directory_reports:
        if isinstance(report, DirectoryReport):
            yield caa_finding(facts.policies, report, facts.target)


def caa_finding(policies: Sequence[CaaPolicy], report: DirectoryReport, target: Target) -> Finding:
    """Return whether CAA records let an authority issue for every name."""
    applicant = CaaRequest(report.identities, target.challenges, report.account_url)
    for policy in policies:
        why = issuance_refusal(policy, applicant)
        if why:
            return codes.CAA_FORBIDS.found(
                f"{why} ({report.label})",
                gateway=target.name,
                fix=_caa_fix(policy, report),
            )
    for policy in policies:
        if policy.failure:
            seen = f"the CAA records of {policy.domain} cannot be looked up: {policy.failure}"
            return codes.CAA_UNKNOWN.found(seen, gateway=target.name)
    where = [f"{each.name}: {each.domain}" for each in policies if each.domain]
    seen = (
        f"CAA records found for {', '.join(where)}" if where else "no CAA records: any CA may issue"
    )
    return codes.CAA_OK.found(f"{seen} ({report.label})", gateway=target.name)


def _caa_fix(policy: CaaPolicy, report: DirectoryReport) -> str:
    if not report.identities:
        return ""
    tag = "issuewild" if policy.name.startswith("*.") else "issue"
    return (
        f'publish {policy.domain} CAA 0 {tag} "{report.identities[0]}", or use another CA;'
        " gatecert enroll checks again at once"
    )


def challenge(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether gatecert can answer the authority's challenge."""
    failure = challenge_failure(facts.self_tests, facts.name)
    for test in facts.self_tests:
        error = test.error
        if error is not None:
            if failure is None:
                seen = f"{test.kind}: {error.message}"
                yield codes.CHALLENGE_PASSED_OVER.found(seen, gateway=facts.name, fix=error.fix)
        elif not test.tried:
            seen = f"{test.kind} is configured"
            yield codes.CHALLENGE_UNTRIED.found(seen, gateway=facts.name)
        elif test.complaints:
            seen = f"{test.kind}: {'; '.join(test.complaints)}"
            yield codes.CHALLENGE_NOT_FETCHED.found(seen, gateway=facts.name)
        else:
            seen = f"{test.kind}: {_TESTED.get(test.kind, 'test record found')}"
            yield codes.CHALLENGE_OK.found(seen, gateway=facts.name)
    if failure is not None:
        yield failure


def challenge_failure(self_tests: Sequence[ChallengeSelfTest], gateway: str) -> Finding | None:
    """Return why gatecert can answer no challenge; None if one of them may succeed."""
    failed = [each for each in self_tests if each.error is not None]
    if not failed or len(failed) < len(self_tests):
        return None
    first = failed[0]
    match first.error:
        case AddressInUseError():
            code = codes.ADDRESS_IN_USE
        case StateError():
            code = codes.STATE_UNWRITABLE
        case RecordNotVisibleError():
            code = codes.RECORD_NOT_VISIBLE
        case _:
            code = codes.CHALLENGE
    seen = "; ".join(f"{each.kind}: {each.error.message}" for each in failed if each.error)
    return code.found(seen, gateway=gateway, fix=first.error.fix if first.error else "")
