"""What is really on the disk: the certificates themselves decide, whatever state files say.

A version counts only if its certificate can be read and belongs to its key. So a damaged or lost
``state.json``, ``meta.json`` or ``live`` never makes gatecert throw away a good certificate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatecert.certificate import chain, key
from gatecert.errors import GatecertError
from gatecert.model import CertificateSummary, Version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A version that can be served, with what its certificate says."""

    version: Version
    summary: CertificateSummary


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every version that can be served, newest first.

    Attributes:
        live: The one that ``live`` leads to; None when it leads nowhere or to nothing usable.
    """

    held: tuple[Held, ...]
    live: Held | None

    def wanted(self, now: datetime) -> Held | None:
        """The version that ought to be served.

        That is the newest one that an authority issued or an administrator imported and that has
        not ended; else what is live already (an expired certificate shows more of who we are than
        a self-signed one); else the newest of all.
        """
        for held in self.held:
            if not held.summary.is_bootstrap and held.summary.not_after > now:
                return held
        return self.live or next(iter(self.held), None)

    def find(self, version_id: str) -> Held | None:
        """The version of that id."""
        return next((held for held in self.held if held.version.id == version_id), None)


def take_inventory(
    store: Store, gateway: str, live: str | None, *, pair: bool = False
) -> Inventory:
    """Look at every version of a gateway.

    Args:
        store: Where the versions are.
        gateway: Its name.
        live: The id that the ``live`` link leads to.
        pair: Whether second certificates count.
    """
    held = tuple(_usable(store, store.versions(gateway), pair=pair))
    return Inventory(held, next((one for one in held if one.version.id == live), None))


def _usable(store: Store, versions: Iterable[Version], *, pair: bool) -> Iterable[Held]:
    for version in versions:
        try:
            summary = chain.summarize(version.certificate, version.chain)
            fits = _fits(store.private_key(version), summary)
            if pair and version.second_certificate:
                second = chain.summarize(version.second_certificate, version.second_chain)
                fits = fits and _fits(store.private_key(version, second=True), second)
                summary = replace(summary, second=second)
        except GatecertError as error:
            logger.warning("version cannot be used path=%s error=%s", version.directory, error)
            continue
        if fits:
            yield Held(version, summary)
        else:
            logger.warning("key and certificate do not belong together path=%s", version.directory)


def _fits(private_key: bytes, summary: CertificateSummary) -> bool:
    """Whether a certificate is for a key."""
    return key.fingerprint(key.load(private_key).public_key()) == summary.key_fingerprint
