"""Build the certification path from the gateway's certificate to a root. Pure.

The order of a served chain is not relied upon: a certificate may be followed by any certificate
that has its issuer's name and verifies its signature. Cross-signatures allow several paths. The
longest valid one wins, because the certificates at its end serve clients with older trust stores.
The end is cut off only where the whole path is invalid and the rest leads to a trusted root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.x509 import Certificate

from gatecert.certificate.certificate_names import label, name_text
from gatecert.certificate.path_validation import check_issuers, validate
from gatecert.certificate.rules import ValidationTime, is_signed_by
from gatecert.errors import CertificateError
from gatecert.model import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

Certificates: TypeAlias = tuple[Certificate, ...]

_MOST_STEPS = 256  # a chain crafted to have countless paths is refused


@dataclass(frozen=True, slots=True)
class Path:
    """A valid path.

    Attributes:
        certificates: The gateway's certificate, then its intermediates in order.
        root: The self-signed root, where it is known.
        trusted: Whether the path reaches a trusted certificate.
        notes: Notes for the operator.
    """

    certificates: Certificates
    root: Certificate | None
    trusted: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathFinder:
    """Finds the best path for one certificate.

    Attributes:
        leaf: The gateway's certificate, already checked by `check_leaf`.
        others: The certificates that came with it, without repetition.
        anchors: Trusted certificates, self-signed or not.
        name: One of the names in the leaf.
        time: The instant of validation.
    """

    leaf: Certificate
    others: Sequence[Certificate]
    anchors: Sequence[Certificate]
    name: Identifier
    time: ValidationTime
    _signatures: dict[tuple[Certificate, Certificate], bool] = field(
        default_factory=dict, repr=False
    )

    def find(self, *, trust_required: bool) -> Path:
        """Return the best valid path.

        Raises:
            CertificateError: No path is valid, or none is trusted although ``trust_required``.
        """
        complete = sorted(self._complete(), key=_rank)
        prefixes = {path[:length] for path in complete for length in range(1, len(path) + 1)}
        for certificates in sorted(prefixes, key=_rank):
            if self._is_trusted(certificates):
                try:
                    return self._validated(certificates, trusted=True)
                except CertificateError:
                    continue  # reported below, unless a prefix is valid
        refusals: list[CertificateError] = []
        for certificates in complete:
            try:
                path = self._validated(certificates, trusted=False)
            except CertificateError as error:
                refusals.append(error)
                continue
            if trust_required:
                raise self._untrusted(path)
            return path
        raise refusals[0]

    def certificate_without_issuer(self) -> Certificate | None:
        """Return the certificate whose issuer is missing; None where a path reaches a root."""
        complete = sorted(self._complete(), key=_rank)
        if any(self.roots(path) for path in complete):
            return None
        return complete[0][-1]

    def is_self_signed(self, certificate: Certificate) -> bool:
        """Check whether a certificate is its own issuer."""
        return self._issued(certificate, certificate)

    def _complete(self) -> Iterator[Certificates]:
        """Yield every path through the intermediates that cannot be extended."""
        issuers = [each for each in self.others if not self.is_self_signed(each)]
        paths: list[Certificates] = [(self.leaf,)]
        for _ in range(_MOST_STEPS):
            path = paths.pop()
            longer = [
                (*path, issuer)
                for issuer in issuers
                if issuer not in path and self._issued(path[-1], issuer)
            ]
            paths += longer
            if not longer:
                yield path
            if not paths:
                return
        raise CertificateError(
            f"the chain of {label(self.leaf)} is refused: it has too many possible paths",
            fix="leave only the certificate and the issuers on one path to its root",
        )

    def _issued(self, child: Certificate, issuer: Certificate) -> bool:
        """Check whether one certificate issued the other; verify each signature once."""
        if child.issuer != issuer.subject:
            return False
        if (child, issuer) not in self._signatures:
            self._signatures[child, issuer] = is_signed_by(child, issuer, allow_forgeable=True)
        return self._signatures[child, issuer]

    def roots(self, certificates: Certificates) -> list[Certificate]:
        """Return the self-signed issuers of any of the certificates."""
        return [
            each
            for each in dict.fromkeys((*self.anchors, *self.others))
            if any(self._issued(child, each) for child in certificates)
            and self.is_self_signed(each)
        ]

    def _root(self, end: Certificate) -> Certificate | None:
        """Return the self-signed issuer of the end: trusted first, then longest-lived."""
        roots = self.roots((end,))
        return min(roots, key=lambda each: (each not in self.anchors, *_age(each)), default=None)

    def _is_trusted(self, certificates: Certificates) -> bool:
        """Check whether the validator gets from the leaf to a trusted certificate at any height."""
        near = [
            anchor
            for anchor in self.anchors
            if anchor in certificates[1:]
            or any(self._issued(each, anchor) for each in certificates)
        ]
        try:
            if near:
                validate(certificates, near, self.name, self.time)
        except CertificateError:
            return False
        return bool(near)

    def _validated(self, certificates: Certificates, *, trusted: bool) -> Path:
        """Return a path that keeps every rule up to its last issuer."""
        root = self._root(certificates[-1])
        if root is None and len(certificates) == 1 and not trusted:
            raise self._no_issuer()
        notes = tuple(check_issuers(certificates, root, self.time, is_anchor=root in self.anchors))
        if root is not None or len(certificates) > 1:
            validate(certificates, [root or certificates[-1]], self.name, self.time)
        return Path(certificates, root, trusted, notes)

    def _no_issuer(self) -> CertificateError:
        """Return the error for a leaf without an issuer among the certificates given."""
        namesakes = [each for each in self.others if each.subject == self.leaf.issuer]
        if namesakes:
            return CertificateError(
                f"the certificate {label(self.leaf)} was not signed by {label(namesakes[0])}, which"
                " only has its issuer's name",
                fix="give the issuer's certificate that belongs to it",
            )
        return CertificateError(
            f"the chain of {label(self.leaf)} is incomplete: the certificate of its issuer"
            f" '{name_text(self.leaf.issuer)}' is missing",
            fix="add the CA's intermediate certificates",
        )

    def _untrusted(self, path: Path) -> CertificateError:
        """Return the error for a valid path that does not end in a trusted root."""
        return CertificateError(
            f"the chain of {label(self.leaf)} ends in '{name_text(path.certificates[-1].issuer)}',"
            " which is not one of the trusted roots",
            fix="compare trusted_roots with the root that the CA publishes",
        )


def _age(certificate: Certificate) -> tuple[float, bytes]:
    """Return a sort key: the longest-lived first, independent of the order given."""
    return (
        -certificate.not_valid_after_utc.timestamp(),
        certificate.fingerprint(hashes.SHA256()),
    )


def _rank(certificates: Certificates) -> tuple[int, tuple[tuple[float, bytes], ...]]:
    """Return a sort key: the longest path first, then the longest-lived."""
    return -len(certificates), tuple(_age(each) for each in certificates)
