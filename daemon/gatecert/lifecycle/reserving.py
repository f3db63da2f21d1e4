"""Have the next order of a gateway reserved for one host of its cluster, at the end of a pass.

Only the order of a renewal is reserved that its CA exempts from the limits, because it names the
certificate that it replaces (RFC 9773): so a fleet spends nothing on orders that it may never
place, and the CA refuses the exemption if another host has replaced the certificate meanwhile.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.errors import GatecertError
from gatecert.model import Mode
from gatecert.model.fleet import Replacement

if TYPE_CHECKING:
    from gatecert.lifecycle.gateway_pass import Pass

logger = logging.getLogger(__name__)


def reserve(current: Pass) -> None:
    """Reserve the order, or give it back; never fail."""
    try:
        if current.state.host.database is None:
            current.store.reserve_order(current.target.name, _replacement(current))
    except GatecertError as error:
        logger.info("order not reserved gateway=%s error=%s", current.target.name, error)


def _replacement(current: Pass) -> Replacement | None:
    """Return the order that would replace the certificate in use; None if it is not exempt."""
    target, in_use = current.target, current.in_use
    if target.mode is not Mode.AUTOMATIC or current.excluded_region or target.key.second:
        return None
    stored = next((each for each in current.inventory.stored if each.summary == in_use), None)
    if in_use is None or stored is None or not in_use.covers(target.identifiers):
        return None
    info, authority = current.state.enrolment.renewal, stored.version.authority
    is_known = info is not None and info.certificate_id == in_use.certificate_id
    if (
        info is None
        or not is_known
        or info.renew_at is None
        or authority not in current.authorities
    ):
        return None
    names = tuple(sorted(identifier.value for identifier in target.identifiers))
    return Replacement(authority, in_use.certificate_id, names)
