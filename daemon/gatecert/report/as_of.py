"""Bring the status of a gateway, which a pass has made, up to a later time. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.report.attention import SELF_SIGNED
from gatecert.report.gateway_status import SENTENCES, Condition

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.report.gateway_status import ClientAuthenticationStatus, GatewayStatus

DAY: Final = timedelta(days=1)


def as_of(one: GatewayStatus, now: datetime) -> GatewayStatus:
    """Return the status with what depends on the current time: the days left, and an expiry.

    The same object is returned if nothing has changed.
    """
    if one.not_after is None:
        return one
    clients = _clients(one.client_authentication, now)
    left = int((one.not_after - now) / DAY)  # towards zero, as the pass counts
    state = one.state
    if one.not_after <= now and state not in SELF_SIGNED:
        state = Condition.EXPIRED
    if (left, state) == (one.days_left, one.state) and clients is one.client_authentication:
        return one
    words = one.words if state is one.state else SENTENCES[state]
    return replace(one, days_left=left, state=state, words=words, client_authentication=clients)


def _clients(
    status: ClientAuthenticationStatus | None, now: datetime
) -> ClientAuthenticationStatus | None:
    if status is None:
        return None
    left = [int((each.not_after - now) / DAY) for each in status.authorities]
    if left == [each.days_left for each in status.authorities]:
        return status
    authorities = tuple(
        replace(each, days_left=days) for each, days in zip(status.authorities, left, strict=True)
    )
    return replace(status, authorities=authorities)
