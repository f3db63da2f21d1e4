"""Whether one path from the gateway's certificate to its last issuer holds. Pure.

``cryptography``'s validator decides on signatures, dates, basicConstraints, path length, name
constraints, unknown critical extensions and issuers' keys. Its WebPKI profile also demands what
only public authorities keep to (authorityKeyIdentifier in the certificate, keyUsage in the root),
so the profile is relaxed to RFC 5280 section 6, and the usages of issuers are checked here. What is
checked here besides is what the validator refuses without naming the certificate.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gatecert.certificate.certificate_names import label
from gatecert.certificate.rules import check_key, check_signature_algorithm, unsupported_algorithm
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

# TLS servers and clients do not look at certificate policies (OpenSSL: only if asked to), and
# RFC 5280 sections 4.2.1.11 and 4.2.1.14 want policyConstraints and inhibitAnyPolicy critical.
LENIENT = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
    .may_be_present(x509.PolicyConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.InhibitAnyPolicy, Criticality.AGNOSTIC, None)
)
_ISSUER_POLICY = LENIENT.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_LEAF_POLICY = LENIENT.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_FETCH_AGAIN = "have the authority's current chain, and use that"


def validate(
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    clock: ValidationTime,
) -> None:
    """Let the validator look for a way from ``path[0]`` through the rest to one of the anchors.

    Args:
        path: The gateway's certificate, then intermediates.
        anchors: Where the way has to end; not only self-signed certificates may stand here.
        name: One of the names in the gateway's certificate.
        clock: When to judge; what begins within its skew counts as begun.

    Raises:
        CertificateError: There is no such way, or it breaks a rule.
    """
    for each in (*path[1:], *anchors):
        if is_apex_of_dotted(each, name):
            raise CertificateError(
                f"the chain of the certificate {label(path[0])} is not valid: {label(each)} permits"
                f" names below {name}, and not that name itself",
                fix=_FETCH_AGAIN,
            )
    dotted = next((at for at in range(1, len(path)) if has_dotted_constraints(path[at])), None)
    if dotted is not None:
        _validate_below(path, dotted, anchors, name, clock)
        return
    _verify(path, [as_anchor(each) for each in anchors], name, clock)


def _validate_below(
    path: Sequence[x509.Certificate],
    at: int,
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    clock: ValidationTime,
) -> None:
    """Validate the way up to an intermediate, by its own constraints and by those above it.

    The signatures above it were verified when the way was found, and the other rules are kept by
    `check_issuers`.
    """
    top = next((each for each in anchors if _issued(path[-1], each) or each in path[at:]), None)
    if top is None:
        raise CertificateError(
            f"the chain of the certificate {label(path[0])} does not end in a trusted root",
            fix=_FETCH_AGAIN,
        )
    for each in (*path[at:], top):
        constraints = name_constraints(each)
        if constraints is not None:
            _verify(path[:at], [as_anchor(path[at], constraints)], name, clock)


def _issued(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _verify(
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    name: Identifier,
    clock: ValidationTime,
) -> None:
    begun = [each.not_valid_before_utc for each in (*path, *anchors)]
    soon = [begin for begin in begun if clock.now < begin <= clock.now + clock.skew]
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .time(max([clock.now, *soon]))
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
    clock: ValidationTime,
    *,
    is_anchor: bool = False,
) -> Iterator[str]:
    """Hold the issuers on a path to the rules that every authority's certificate has to keep.

    Args:
        path: The gateway's certificate, then its intermediates in order.
        root: The root after them, where it is known; its own signature means nothing.
        clock: When to judge.
        is_anchor: Whether the root is trusted; then it may be of X.509 version 1.

    Yields:
        Notes for the operator.

    Raises:
        CertificateError: One breaks a rule.
    """
    below = 0  # RFC 5280 section 4.2.1.9 does not count self-issued certificates
    for issuer in path[1:]:
        check_signature_algorithm(issuer, "the intermediate")
        yield from _check_issuer(issuer, "the intermediate", below, clock)
        below += issuer.subject != issuer.issuer
        if issuer.not_valid_after_utc < path[0].not_valid_after_utc:
            yield (
                f"the intermediate {label(issuer)} ends on"
                f" {instant(issuer.not_valid_after_utc)}, before the certificate does"
            )
    if root is not None and is_anchor and root.version is x509.Version.v1:
        if note := clock.check(root, "the root"):
            yield note
        check_key(root, "the root")
    elif root is not None:
        yield from _check_issuer(root, "the root", below, clock)
    if root is not None and root.not_valid_after_utc < path[0].not_valid_after_utc:
        yield (
            f"the root {label(root)} ends on {instant(root.not_valid_after_utc)}, before the"
            " certificate does: clients refuse it from then on"
        )


def _check_issuer(
    issuer: x509.Certificate, what: str, below: int, clock: ValidationTime
) -> Iterator[str]:
    """One issuer; ``below`` is how many intermediates stand between it and the certificate."""
    if note := clock.check(issuer, what):
        yield note
    check_key(issuer, what)
    _check_authority(issuer, what, below)
    _check_usages(issuer, what)


def _check_authority(issuer: x509.Certificate, what: str, below: int) -> None:
    """Refuse an issuer that is no authority, or not one for so long a path."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    if not constraints.ca:
        raise CertificateError(
            f"{what} {label(issuer)} is no authority's certificate (basicConstraints lacks"
            " CA:TRUE), yet it signed another",
            fix=_FETCH_AGAIN,
        )
    if constraints.path_length is not None and constraints.path_length < below:
        raise CertificateError(
            f"{what} {label(issuer)} allows {constraints.path_length} intermediates below it, but"
            f" there are {below}",
            fix="have it issued by an authority that may do so",
        )


def _check_usages(issuer: x509.Certificate, what: str) -> None:
    """Refuse an issuer that may not sign certificates, or none for servers."""
    extensions = issuer.extensions
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            raise CertificateError(
                f"{what} {label(issuer)} may not sign certificates: its key usage lacks"
                " keyCertSign",
                fix=_FETCH_AGAIN,
            )
    except x509.ExtensionNotFound:
        pass  # absent means unrestricted, RFC 5280 section 4.2.1.3
    try:
        extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if _FOR_SERVERS.isdisjoint(extended):
        raise CertificateError(
            f"{what} {label(issuer)} may not issue for TLS servers: its extended key usage lacks"
            " serverAuth",
            fix="have it issued by an authority for servers",
        )


def _subject(name: Identifier) -> x509.DNSName | x509.IPAddress:
    """A name as a client would verify it; for a wildcard, one of those it stands for."""
    if name.type is IdentifierType.IP:
        return x509.IPAddress(ipaddress.ip_address(name.value))
    return x509.DNSName(f"any{name.value[1:]}" if name.is_wildcard else name.value)


def verdict(error: Exception) -> str:
    """The validator's own words, in brief; never the names of its own parts."""
    found = str(error).split(" (encountered processing", 1)[0]
    found = found.removeprefix("validation failed: ").removeprefix("candidates exhausted: ")
    if "AlgorithmIdentifier {" in found:
        return "there is a key or a signature of a kind that is not taken"
    return clean(found, 200)


def _refusal(
    certificates: Sequence[x509.Certificate], error: VerificationError
) -> CertificateError:
    """What the validator found, and in which certificate as far as can be told."""
    if kind := unsupported_algorithm(certificates):
        return CertificateError(
            f"{kind}, which is not taken",
            fix="have it issued under an RSA or ECDSA authority that signs with SHA-256",
        )
    found = verdict(error)
    where = f"the chain of the certificate {label(certificates[0])}"
    constraining = [label(each) for each in certificates[1:] if _has_name_constraints(each)]
    if constraining and "constraint" in found:
        where += f", whose names are constrained by {' and '.join(dict.fromkeys(constraining))},"
    return CertificateError(f"{where} is not valid: {found}", fix=_FETCH_AGAIN)


def _has_name_constraints(certificate: x509.Certificate) -> bool:
    """Whether a certificate limits the names below it."""
    return any(
        isinstance(extension.value, x509.NameConstraints) for extension in certificate.extensions
    )
