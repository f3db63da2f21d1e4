"""The checks, in the order in which an administrator should look.

Is this machine online, does the name point here, can gatecert answer the challenge, which
certificate is installed, what is served, and who trusts it?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gatecert.doctor import (
    certificate_checks,
    codes,
    enrolment_checks,
    fleet_checks,
    fleet_codes,
    machine_checks,
    reload_checks,
    service_checks,
)
from gatecert.doctor.facts import GatewayFacts, MachineFacts
from gatecert.doctor.finding import Code, Finding


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """A check of what is common to all gateways.

    Attributes:
        name: One word.
        question: The question that it answers.
        codes: All codes that it can find.
    """

    name: str
    question: str
    run: Callable[[MachineFacts], Iterator[Finding]]
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class GatewayCheck:
    """A check of one gateway; the attributes are those of `MachineCheck`."""

    name: str
    question: str
    run: Callable[[GatewayFacts], Iterator[Finding]]
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A finding, and the check that made it."""

    check: str
    finding: Finding


ORDER: tuple[MachineCheck | GatewayCheck, ...] = (
    MachineCheck(
        "configuration",
        "Can the configuration be used?",
        machine_checks.configuration,
        (
            codes.CONFIGURATION_OK,
            codes.CONFIGURATION,
            codes.CONFIGURATION_EXPOSED,
            codes.NAMED_MISSING,
            codes.UNWORKABLE,
        ),
    ),
    MachineCheck(
        "files",
        "Are keys and state protected from other users?",
        machine_checks.files,
        (codes.FILES_OK, codes.KEY_EXPOSED, codes.FILES_FOREIGN),
    ),
    MachineCheck(
        "listeners",
        "Could another user of this machine answer the CA's challenges?",
        machine_checks.listeners,
        (codes.LISTENERS_OK, codes.LISTENER_EXPOSED, codes.LISTENER_UNPRIVILEGED),
    ),
    MachineCheck(
        "state",
        "Can gatecert write, fsync and read back its state, and is there free space?",
        machine_checks.state,
        (codes.STATE_OK, codes.STATE_UNWRITABLE),
    ),
    MachineCheck(
        "daemon",
        "Is the daemon running?",
        machine_checks.daemon,
        (codes.DAEMON_OK, codes.DAEMON_STOPPED),
    ),
    MachineCheck(
        "monitoring",
        "Do metrics, the status page and notifications work?",
        machine_checks.monitoring,
        (codes.MONITORING_OK, codes.MONITORING_FAILS),
    ),
    MachineCheck(
        "database",
        "Can the fleet's database be used, and does it keep what it confirms?",
        fleet_checks.database,
        (
            fleet_codes.DATABASE_OK,
            *fleet_codes.OF_DATABASE.values(),
            fleet_codes.DATABASE_ASYNCHRONOUS,
            fleet_codes.ROLE_EXCESS,
            codes.CLOCK_OFF,
        ),
    ),
    MachineCheck(
        "cluster",
        "Do the hosts of the cluster give signs of life, and may they order and install?",
        fleet_checks.hosts,
        (
            fleet_codes.CLUSTER_OK,
            fleet_codes.BRAKE,
            fleet_codes.FLEET_PAUSED,
            fleet_codes.HOST_SILENT,
            fleet_codes.HOST_TWICE,
        ),
    ),
    MachineCheck(
        "authority",
        "Is this machine online, and does the CA answer?",
        machine_checks.authorities,
        (
            codes.AUTHORITY_OK,
            codes.AUTHORITY_UNREACHABLE,
            codes.AUTHORITY_INSECURE,
            codes.CLIENT_CERTIFICATE,
            codes.AUTHORITY,
            codes.STATE_UNWRITABLE,
            fleet_codes.SEALING_KEY_MISSING,
        ),
    ),
    MachineCheck(
        "client-certificate",
        "Until when does the CA accept gatecert's client certificate?",
        machine_checks.client_certificates,
        (codes.CLIENT_CERTIFICATE_OK, codes.CLIENT_CERTIFICATE_ENDS_SOON),
    ),
    MachineCheck(
        "clock",
        "Does the clock agree with the CA's?",
        machine_checks.clock,
        (codes.CLOCK_OK, codes.CLOCK_UNKNOWN, codes.CLOCK_OFF, codes.CLOCK_WRONG),
    ),
    MachineCheck(
        "terms",
        "Is there an ACME account, or can one be registered?",
        machine_checks.terms,
        (codes.TERMS_OK, codes.TERMS_NOT_AGREED, codes.BINDING_MISSING),
    ),
    MachineCheck(
        "profile",
        "Does the CA offer the configured profile?",
        machine_checks.profiles,
        (codes.PROFILE_OK, codes.PROFILE_MISSING),
    ),
    GatewayCheck(
        "region",
        "Is the gateway enrolled automatically?",
        enrolment_checks.region,
        (codes.REGION_OK, codes.REGION_EXCLUDED),
    ),
    GatewayCheck(
        "ddns",
        "Does gatecert keep the records of the hostname (dynamic DNS)?",
        enrolment_checks.dynamic_dns,
        (
            codes.DDNS_OK,
            codes.DDNS_PENDING,
            codes.DDNS_NO_ADDRESS,
            codes.DDNS_UNREACHABLE,
            codes.DDNS_REFUSED,
            codes.DDNS_BLOCKED,
            codes.DDNS,
        ),
    ),
    GatewayCheck(
        "names",
        "Do the names resolve to this gateway?",
        enrolment_checks.names,
        (
            codes.NAMES_OK,
            codes.NAMES_NOT_LOOKED_UP,
            codes.BEHIND_NAT,
            codes.NAME_PARTLY_UNKNOWN,
            *codes.BY_RESOLUTION.values(),
            codes.RESOLUTION,
            codes.NAME_ELSEWHERE,
        ),
    ),
    GatewayCheck(
        "pair",
        "Can the hosts of a pair be enrolled?",
        enrolment_checks.pair,
        (codes.USE_CUSTOM_MODE,),
    ),
    GatewayCheck(
        "caa",
        "Do CAA records let the CA issue?",
        enrolment_checks.caa,
        (codes.CAA_OK, codes.CAA_UNKNOWN, codes.CAA_FORBIDS),
    ),
    GatewayCheck(
        "challenge",
        "Can gatecert answer the CA's challenge?",
        enrolment_checks.challenge,
        (
            codes.CHALLENGE_OK,
            codes.CHALLENGE_UNTRIED,
            codes.CHALLENGE_NOT_FETCHED,
            codes.CHALLENGE_PASSED_OVER,
            codes.RECORD_NOT_VISIBLE,
            codes.ADDRESS_IN_USE,
            codes.CHALLENGE,
            codes.STATE_UNWRITABLE,
        ),
    ),
    GatewayCheck(
        "certificate",
        "Which certificate is installed, who issued it, and when does it expire?",
        certificate_checks.certificate,
        (
            codes.CERTIFICATE_OK,
            codes.CERTIFICATE_MISSING,
            codes.CERTIFICATE_EXPIRED,
            codes.CERTIFICATE_ENDS_SOON,
            codes.CERTIFICATE_NAMES,
        ),
    ),
    GatewayCheck(
        "rollout",
        "Can the hosts of the cluster use its newest certificate, and do they serve it?",
        fleet_checks.rollout,
        (
            fleet_codes.ROLLOUT_OK,
            fleet_codes.ROLLOUT_RUNS,
            fleet_codes.GENERATION_BEHIND,
            fleet_codes.SEALING_KEY_MISSING,
            fleet_codes.ENROLMENT_DAMAGED,
        ),
    ),
    GatewayCheck(
        "revocation",
        "Is the certificate revoked, according to the last CRLs that the daemon read?",
        certificate_checks.revocation,
        (codes.REVOCATION_OK, codes.REVOCATION_UNKNOWN, codes.CERTIFICATE_REVOKED),
    ),
    GatewayCheck(
        "bootstrap",
        "Is the bootstrap certificate still served after ten minutes, and why?",
        certificate_checks.bootstrap,
        (codes.BOOTSTRAP_YOUNG, codes.BOOTSTRAP_STILL, codes.BOOTSTRAP_UNTIL_IMPORT),
    ),
    GatewayCheck(
        "served",
        "Which certificate does a client see that connects by name?",
        service_checks.served,
        (
            codes.SERVED_OK,
            codes.NOT_VERIFIED,
            codes.NOT_SERVED,
            codes.MIXED,
            codes.CHAIN_INCOMPLETE,
            codes.PROOF_DENIED,
            codes.LISTENER_SILENT,
        ),
    ),
    GatewayCheck(
        "address",
        "Which certificate does a client see that connects by IP address?",
        service_checks.by_address,
        (codes.ADDRESS_OK, codes.CONNECT_BY_NAME, codes.ADDRESS_SHOWS_OTHER),
    ),
    GatewayCheck(
        "trust",
        "Which root must a client trust?",
        service_checks.trust,
        (codes.ROOT_OK, codes.ROOT_NOT_TRUSTED, codes.ROOT_UNKNOWN),
    ),
    GatewayCheck(
        "request",
        "Is a CSR waiting for its certificate?",
        certificate_checks.requests,
        (codes.REQUEST_PENDING,),
    ),
    GatewayCheck(
        "client-ca",
        "Which client CAs are accepted?",
        certificate_checks.client_ca,
        (
            codes.CLIENT_CA_OK,
            codes.CLIENT_CA_MISSING,
            codes.CLIENT_CA_UNREADABLE,
            codes.CLIENT_CA_EXPIRED,
            codes.CLIENT_CA_ENDS_SOON,
            codes.CLIENT_CA_ASKED,
            codes.CLIENT_CA_NOT_ASKED,
            codes.CLIENT_CRL_ENDED,
            codes.CLIENT_CRL_ENDS_SOON,
            codes.CLIENT_CRL_UNUSABLE,
            codes.KNOWN_USERS_ENDED,
            codes.KNOWN_USERS_END,
            codes.KNOWN_USERS_UNREADABLE,
        ),
    ),
    GatewayCheck(
        "reload",
        "Does install.reload or systemd reload the server?",
        reload_checks.reload,
        (
            codes.RELOAD_UNIT_OK,
            codes.RELOAD_UNIT_INCOMPLETE,
            codes.RELOAD_UNIT_FAILED,
            codes.RELOAD_MISSING,
        ),
    ),
    GatewayCheck(
        "deployment",
        "Did the last reload succeed?",
        service_checks.deployment,
        (
            codes.DEPLOYMENT_OK,
            codes.DEPLOYMENT_PENDING,
            codes.DEPLOYMENT_FAILED,
        ),
    ),
    GatewayCheck(
        "attempts",
        "Did the last attempt succeed, and what is left of the CA's rate limits?",
        service_checks.attempts,
        (
            codes.ATTEMPTS_OK,
            codes.LAST_ATTEMPT_FAILED,
            codes.ATTEMPTS_FAILED,
            codes.BUDGET_SPENT,
            codes.AUTHORITY_LEFT,
            codes.LIMITS_OK,
            codes.ORDER_PENDING,
        ),
    ),
)


def run_checks(machine_facts: MachineFacts, gateways: Iterable[GatewayFacts]) -> tuple[Result, ...]:
    """Return every finding: the machine's, then each gateway's, in the order of the checks."""
    results = [
        Result(check.name, finding)
        for check in ORDER
        if isinstance(check, MachineCheck)
        for finding in check.run(machine_facts)
    ]
    results += [
        Result(check.name, finding)
        for facts in gateways
        for check in ORDER
        if isinstance(check, GatewayCheck)
        for finding in check.run(facts)
    ]
    return tuple(results)
