"""Validation of one path from the gateway's certificate to its last issuer. Pure.

``cryptography``'s validator checks signatures, dates, basicConstraints, path length, name
constraints, unknown critical extensions and issuer keys. Its WebPKI profile also requires what only
public CAs provide (authorityKeyIdentifier in the certificate, keyUsage in the root), so the profile
is relaxed to RFC 5280 section 6 and the issuers' key usages are checked here, as is everything that
the validator refuses without naming the certificate.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gatecert.certificate.certificate_names import label
from gatecert.certificate.extensions import extension
from gatecert.certificate.rules import (
    check_key,
    check_signature_algorithm,
    is_signed_by,
    unsupported_algorithm,
)
from gatecert.certificate.trust_anchor import (
    as_anchor,
    has_dotted_constraints,
    is_apex_of_dotted,
    name_constraints,
)
from gatecert.errors import CertificateError, clean
from gatecert.model import IdentifierType
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.certificate.rules import ValidationTime
    from gatecert.model import Identifier

# TLS peers ignore certificate policies (OpenSSL: unless asked to check), and RFC 5280 sections
# 4.2.1.11 and 4.2.1.14 require policyConstraints and inhibitAnyPolicy to be critical.
LENIENT = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
    .may_be_present(x509.PolicyConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.InhibitAnyPolicy, Criticality.AGNOSTIC, None)
)
_ISSUER_POLICY = LENIENT.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_LEAF_POLICY = LENIENT.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_FETCH_AGAIN = "get the CA's current chain and use that"


def validate(
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    time: ValidationTime,
) -> None:
    """Let the validator find a path from ``path[0]`` through the rest to one of the anchors.

    Args:
        path: The gateway's certificate, then intermediates.
        anchors: The certificates that the path must end in, self-signed or not.
        name: One of the names in the gateway's certificate.
        time: The instant of validation; what begins within its skew counts as begun.

    Raises:
        CertificateError: There is no such path, or it breaks a rule.
    """
    for each in (*path[1:], *anchors):
        if is_apex_of_dotted(each, name):
            raise CertificateError(
                f"the chain of the certificate {label(path[0])} is not valid: {label(each)} permits"
                f" names below {name}, but not {name} itself",
                fix=_FETCH_AGAIN,
            )
    dotted = next((at for at in range(1, len(path)) if has_dotted_constraints(path[at])), None)
    if dotted is not None:
        _validate_below(path, dotted, anchors, name, time)
        return
    _verify(path, [as_anchor(each) for each in anchors], name, time)


def _validate_below(
    path: Sequence[x509.Certificate],
    at: int,
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    time: ValidationTime,
) -> None:
    """Validate the path up to an intermediate, by its own name constraints and those above it.

    The signatures above it were verified when the path was built; `check_issuers` checks the other
    rules.
    """
    ends = (each for each in anchors if each in path[at:] or is_signed_by(path[-1], each))
    top = next(ends, None)
    if top is None:
        raise CertificateError(
            f"the chain of the certificate {label(path[0])} does not end in a trusted root",
            fix=_FETCH_AGAIN,
        )
    for each in (*path[at:], top):
        constraints = name_constraints(each)
        if constraints is not None:
            _verify(path[:at], [as_anchor(path[at], constraints)], name, time)


def _verify(
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    time: ValidationTime,
) -> None:
    begun = [each.not_valid_before_utc for each in (*path, *anchors)]
    soon = [begin for begin in begun if time.now < begin <= time.now + time.skew]
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .time(max([time.now, *soon]))
            .extension_policies(ca_policy=_ISSUER_POLICY, ee_policy=_LEAF_POLICY)
            .build_server_verifier(_subject(name))
        )
    except ValueError as error:
        raise CertificateError(
            f"'{clean(name.value, 255)}' is no host name that clients could verify",
            fix="use letters, digits and hyphens only",
        ) from error
    try:
        verifier.verify(path[0], list(path[1:]))
    except VerificationError as error:
        raise _refusal((*path, *anchors), error) from error


def check_issuers(
    path: Sequence[x509.Certificate],
    root: x509.Certificate | None,
    time: ValidationTime,
    *,
    is_anchor: bool = False,
) -> Iterator[str]:
    """Check the rules for the CA certificates on a path.

    Args:
        path: The gateway's certificate, then its intermediates in order.
        root: The root after them, where it is known; its own signature is irrelevant.
        time: The instant of validation.
        is_anchor: Whether the root is trusted; it may then be X.509 version 1.

    Yields:
        Notes for the operator.

    Raises:
        CertificateError: One breaks a rule.
    """
    below = 0  # self-issued certificates do not count, RFC 5280 section 4.2.1.9
    for issuer in path[1:]:
        check_signature_algorithm(issuer, "the intermediate")
        yield from _check_issuer(issuer, "the intermediate", below, time)
        below += issuer.subject != issuer.issuer
        if issuer.not_valid_after_utc < path[0].not_valid_after_utc:
            yield (
                f"the intermediate {label(issuer)} expires on"
                f" {instant(issuer.not_valid_after_utc)}, before the certificate"
            )
    if root is not None and is_anchor and root.version is x509.Version.v1:
        if note := time.check(root, "the root"):
            yield note
        check_key(root, "the root")
    elif root is not None:
        yield from _check_issuer(root, "the root", below, time)
    if root is not None and root.not_valid_after_utc < path[0].not_valid_after_utc:
        yield (
            f"the root {label(root)} expires on {instant(root.not_valid_after_utc)}, before the"
            " certificate: clients refuse it from then on"
        )


def _check_issuer(
    issuer: x509.Certificate, what: str, below: int, time: ValidationTime
) -> Iterator[str]:
    """Check one issuer; ``below`` is the number of intermediates between it and the leaf."""
    if note := time.check(issuer, what):
        yield note
    check_key(issuer, what)
    _check_ca(issuer, what, below)
    _check_usages(issuer, what)


def _check_ca(issuer: x509.Certificate, what: str, below: int) -> None:
    """Refuse an issuer that is not a CA, or whose path length is too small."""
    constraints = extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise CertificateError(
            f"{what} {label(issuer)} is not a CA certificate (basicConstraints lacks CA:TRUE), yet"
            " it signed another",
            fix=_FETCH_AGAIN,
        )
    if constraints.path_length is not None and constraints.path_length < below:
        raise CertificateError(
            f"{what} {label(issuer)} allows {constraints.path_length} intermediates below it, but"
            f" there are {below}",
            fix="have it issued by a CA that may do so",
        )


def _check_usages(issuer: x509.Certificate, what: str) -> None:
    """Refuse an issuer that may not sign certificates, or not for servers."""
    usage = extension(issuer, x509.KeyUsage)
    # Absent means unrestricted, RFC 5280 section 4.2.1.3.
    if usage is not None and not usage.key_cert_sign:
        raise CertificateError(
            f"{what} {label(issuer)} may not sign certificates: its key usage lacks keyCertSign",
            fix=_FETCH_AGAIN,
        )
    extended = extension(issuer, x509.ExtendedKeyUsage)
    if extended is not None and _FOR_SERVERS.isdisjoint(extended):
        raise CertificateError(
            f"{what} {label(issuer)} may not issue for TLS servers: its extended key usage lacks"
            " serverAuth",
            fix="have it issued by a CA for servers",
        )


def _subject(name: Identifier) -> x509.DNSName | x509.IPAddress:
    """Return a name as a client verifies it; for a wildcard, one of the names it covers."""
    if name.type is IdentifierType.IP:
        return x509.IPAddress(ipaddress.ip_address(name.value))
    return x509.DNSName(f"any{name.value[1:]}" if name.is_wildcard else name.value)


def verdict(error: Exception) -> str:
    """Return the validator's reason in brief, without its implementation details."""
    found = str(error).split(" (encountered processing", 1)[0]
    found = found.removeprefix("validation failed: ").removeprefix("candidates exhausted: ")
    if "AlgorithmIdentifier {" in found:
        return "there is an unsupported key or signature algorithm"
    return clean(found, 200)


def _refusal(
    certificates: Sequence[x509.Certificate], error: VerificationError
) -> CertificateError:
    """Return the error for the validator's finding, with the certificate where it is known."""
    if kind := unsupported_algorithm(certificates):
        return CertificateError(
            f"{kind}, which is not supported",
            fix="have it issued by an RSA or ECDSA CA that signs with SHA-256",
        )
    found = verdict(error)
    where = f"the chain of the certificate {label(certificates[0])}"
    constraining = [label(each) for each in certificates[1:] if _has_name_constraints(each)]
    if constraining and "constraint" in found:
        where += f", whose names are constrained by {' and '.join(dict.fromkeys(constraining))},"
    return CertificateError(f"{where} is not valid: {found}", fix=_FETCH_AGAIN)


def _has_name_constraints(certificate: x509.Certificate) -> bool:
    """Check whether a certificate constrains the names below it."""
    return any(
        isinstance(extension.value, x509.NameConstraints) for extension in certificate.extensions
    )
