"""From the gateway's certificate up to a root: which certificates are on the way. Pure.

The order in which a chain is served is not relied upon: the way goes from a certificate to any
certificate that has its issuer's name and made its signature. There can be several ways
(cross-signatures). The longest that holds wins, because the certificates at its end are there for
clients with older trust lists. Its end is cut off only where the whole does not hold and the
remainder leads to a trusted root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import Certificate

from gatecert.certificate.certificate_names import label, name_text
from gatecert.certificate.path_validation import check_issuers, validate
from gatecert.certificate.rules import ValidationTime, is_forgeable
from gatecert.errors import CertificateError
from gatecert.model import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

Way: TypeAlias = tuple[Certificate, ...]

_MOST_STEPS = 256  # a chain made to have countless paths is refused


@dataclass(frozen=True, slots=True)
class Path:
    """A way upwards that holds.

    Attributes:
        certificates: The gateway's certificate, then its intermediates in order.
        root: The self-signed root, where it is known.
        trusted: Whether a trusted certificate is reached.
        notes: Things worth telling the operator.
    """

    certificates: Way
    root: Certificate | None
    trusted: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathFinder:
    """Finds the best way for one certificate.

    Attributes:
        leaf: The gateway's certificate, already held to its own rules.
        others: What came with it, without repetition.
        anchors: Trusted certificates, self-signed or not.
        name: One of the names in the leaf.
        clock: When to judge.
    """

    leaf: Certificate
    others: Sequence[Certificate]
    anchors: Sequence[Certificate]
    name: Identifier
    clock: ValidationTime
    _known: dict[tuple[Certificate, Certificate], bool] = field(default_factory=dict, repr=False)

    def find(self, *, trust_required: bool) -> Path:
        """The best way that holds.

        Raises:
            CertificateError: None holds, or none is trusted although that is required.
        """
        complete = sorted(self._complete(), key=_rank)
        parts = {way[:length] for way in complete for length in range(1, len(way) + 1)}
        for way in sorted(parts, key=_rank):
            if self._is_trusted(way):
                try:
                    return self._sound(way, trusted=True)
                except CertificateError:
                    continue  # told below, unless the way holds without its end
        refusals: list[CertificateError] = []
        for way in complete:
            try:
                path = self._sound(way, trusted=False)
            except CertificateError as error:
                refusals.append(error)
                continue
            if trust_required:
                raise self._untrusted(path)
            return path
        raise refusals[0]

    def certificate_without_issuer(self) -> Certificate | None:
        """The certificate whose issuer is missing; None where a way reaches a self-signed root."""
        complete = sorted(self._complete(), key=_rank)
        if any(self.roots(way) for way in complete):
            return None
        return complete[0][-1]

    def is_self_signed(self, certificate: Certificate) -> bool:
        """Whether a certificate is its own issuer."""
        return self._issued(certificate, certificate)

    def _complete(self) -> Iterator[Way]:
        """Every way through the intermediates that cannot be made longer."""
        issuers = [each for each in self.others if not self.is_self_signed(each)]
        ways: list[Way] = [(self.leaf,)]
        for _ in range(_MOST_STEPS):
            way = ways.pop()
            longer = [
                (*way, issuer)
                for issuer in issuers
                if issuer not in way and self._issued(way[-1], issuer)
            ]
            ways += longer
            if not longer:
                yield way
            if not ways:
                return
        raise CertificateError(
            f"the chain of {label(self.leaf)} is not looked at: countless ways lead through it",
            fix="leave only the certificate and the issuers on one way to its root",
        )

    def _issued(self, child: Certificate, issuer: Certificate) -> bool:
        """Whether one certificate issued the other; no signature is verified twice."""
        if child.issuer != issuer.subject:
            return False
        known = self._known.get((child, issuer))
        if known is None:
            known = self._known[child, issuer] = _is_signed_by(child, issuer)
        return known

    def roots(self, way: Way) -> list[Certificate]:
        """The self-signed issuers of any certificate on a way."""
        return [
            each
            for each in dict.fromkeys((*self.anchors, *self.others))
            if any(self._issued(child, each) for child in way) and self.is_self_signed(each)
        ]

    def _root(self, end: Certificate) -> Certificate | None:
        """The self-signed issuer of a way's end: a trusted one first, then the longest-lived."""
        roots = self.roots((end,))
        return min(roots, key=lambda each: (each not in self.anchors, *_age(each)), default=None)

    def _is_trusted(self, way: Way) -> bool:
        """Whether the validator gets from the leaf to a trusted certificate, at whatever height."""
        near = [
            anchor
            for anchor in self.anchors
            if anchor in way[1:] or any(self._issued(each, anchor) for each in way)
        ]
        try:
            if near:
                validate(way, near, self.name, self.clock)
        except CertificateError:
            return False
        return bool(near)

    def _sound(self, way: Way, *, trusted: bool) -> Path:
        """The way as a path, when it keeps every rule up to its last issuer."""
        root = self._root(way[-1])
        if root is None and len(way) == 1 and not trusted:
            raise self._no_issuer()
        is_anchor = root in self.anchors
        notes = tuple(check_issuers(way, root, self.clock, is_anchor=is_anchor))
        if root is not None or len(way) > 1:
            validate(way, [root or way[-1]], self.name, self.clock)
        return Path(way, root, trusted, notes)

    def _no_issuer(self) -> CertificateError:
        """Why nobody at hand vouches for the leaf."""
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
            fix="add the authority's intermediate certificates",
        )

    def _untrusted(self, path: Path) -> CertificateError:
        """The refusal of a sound path that does not lead to a trusted root."""
        return CertificateError(
            f"the chain of {label(self.leaf)} ends in '{name_text(path.certificates[-1].issuer)}',"
            " which is not one of the trusted roots",
            fix="compare trusted_roots with the root that the authority publishes",
        )


def _is_signed_by(child: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key made the signature."""
    try:
        child.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # The library verifies no such signature; linked all the same, so that a rule names it.
        return is_forgeable(child)
    return True


def _age(certificate: Certificate) -> tuple[float, bytes]:
    """Orders certificates from the longest-lived, whatever order they came in."""
    return (
        -certificate.not_valid_after_utc.timestamp(),
        certificate.fingerprint(hashes.SHA256()),
    )


def _rank(way: Way) -> tuple[int, tuple[tuple[float, bytes], ...]]:
    """Orders ways from the best: the longest, then the longest-lived."""
    return -len(way), tuple(_age(each) for each in way)
