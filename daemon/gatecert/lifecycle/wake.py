"""Every instant at which a gateway needs its next pass.

Between two passes nothing looks at a gateway, so whatever a pass does at a certain time has to name
that time here. A rule with ``now`` in a stage of a pass needs its instant below; the tests run the
same story with a pass each minute and with passes at these instants only.

Once a day a pass comes in any case, since trust depends on the date and on files that other
programs change.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.revocation.check_schedule import is_final, revocation_state_of
from gatecert.schedule.due import next_due, next_watch
from gatecert.schedule.expiry_warnings import due_expiry_warning
from gatecert.schedule.spread import next_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import Due

RARELY = timedelta(days=1)
CLIENT_CA_LOOK = timedelta(hours=1)  # at what ends or is missing
CLIENT_CA_RETRY = timedelta(minutes=1)  # after an error
LONGEST_FETCH = timedelta(days=1)


def next_wake(current: Pass) -> tuple[datetime, Due]:
    """Return when the next pass has to begin, and what is due next.

    Raises:
        StorageError: The state or the record of the deployment cannot be read.
    """
    due = next_due(current.situation, current.now())
    return min(due.at, *_looks(current)), due


def renewal_info_due(current: Pass) -> datetime | None:
    """Return when to fetch renewal information; None if the gateway has none."""
    stored, known, now = current.wanted, current.state.renewal, current.now()
    if stored is None or not current.has_renewal_info(stored):
        return None
    if known is None or known.certificate_id != stored.summary.certificate_id:
        return now
    return now if known.next_fetch > now + LONGEST_FETCH else known.next_fetch


def _looks(current: Pass) -> Iterator[datetime]:
    """Yield when the gateway, or something that it depends on, is looked at again."""
    situation, now = current.situation, current.now()
    name, state = current.target.name, current.state
    yield next_instant(name, now, RARELY)
    for at in (
        next_watch(situation, now),
        renewal_info_due(current),
        state.next_look if state.resolution is not None else None,
        current.inventory.next_change(now),
    ):
        if at is not None:
            yield at
    if due_expiry_warning(current.target, state, situation.live, now) is not None:
        yield now
    stored = current.wanted
    revocation = revocation_state_of(state, stored.summary if stored is not None else None)
    if revocation is not None and revocation.next_look > now and not is_final(revocation):
        yield revocation.next_look
    yield from _client_cas(current)


def _client_cas(current: Pass) -> Iterator[datetime]:
    """Yield when the client CAs are looked at again."""
    now = current.now()
    if current.client_cas_failed:
        yield now + CLIENT_CA_RETRY
        return
    if not current.client_cas.is_needed:
        return
    yield next_instant(current.target.name, now, CLIENT_CA_LOOK)
    try:
        at = current.client_cas.next_attempt()
    except StorageError:
        at = now + CLIENT_CA_RETRY
    if at is not None:
        yield at
