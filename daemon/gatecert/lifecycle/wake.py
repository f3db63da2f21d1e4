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
from gatecert.schedule.due import next_watch
from gatecert.schedule.expiry_warnings import due_expiry_warning
from gatecert.schedule.spread import next_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.client_ca.client_ca_deployer import ClientCADeployer
    from gatecert.deploy.inventory import Inventory
    from gatecert.model import CertificateSummary, EnrolmentState
    from gatecert.schedule.due import Situation

RARELY = timedelta(days=1)
CLIENT_CA_LOOK = timedelta(hours=1)  # at what ends or is missing
CLIENT_CA_RETRY = timedelta(minutes=1)  # after an error
LONGEST_FETCH = timedelta(days=1)
DATABASE_RETRY = timedelta(minutes=1)
ROLL_OUT_LOOK = timedelta(minutes=5)  # at what other hosts report, without a hint that they have


def looks(situation: Situation, inventory: Inventory, now: datetime) -> Iterator[datetime]:
    """Yield when the gateway, its names and its certificates are looked at again.

    Args:
        situation: What the pass knows at its end.
        inventory: The versions of the gateway.
        now: Aware UTC.
    """
    host, target = situation.state.host, situation.target
    yield next_instant(target.name, now, RARELY)
    if target.keeps_records:
        yield host.ddns.next_look or now if host.ddns is not None else now
    if host.database is not None:
        yield now + DATABASE_RETRY
    if host.roll_out is not None and now < host.roll_out.until:
        yield min(host.roll_out.until, now + ROLL_OUT_LOOK)
    for at in (
        next_watch(situation, now),
        host.next_look if host.resolution is not None else None,
        inventory.next_change(now),
    ):
        if at is not None:
            yield at
    if due_expiry_warning(target, host, situation.live, now) is not None:
        yield now
    wanted = inventory.wanted(now)
    summary = wanted.summary if wanted is not None else None
    revocation = situation.state.enrolment.revocation_of(summary)
    if revocation is not None and revocation.next_look > now and not revocation.is_final:
        yield revocation.next_look


def renewal_info(
    enrolment: EnrolmentState, certificate: CertificateSummary, now: datetime
) -> datetime:
    """Return when to ask the CA when to renew the certificate."""
    known = enrolment.renewal
    if known is None or known.certificate_id != certificate.certificate_id:
        return now
    return now if known.next_fetch > now + LONGEST_FETCH else known.next_fetch


def client_cas(deployer: ClientCADeployer, now: datetime) -> Iterator[datetime]:
    """Yield when the client CAs are looked at again."""
    if not deployer.is_needed:
        return
    yield next_instant(deployer.target.name, now, CLIENT_CA_LOOK)
    try:
        at = deployer.next_attempt()
    except StorageError:
        at = now + CLIENT_CA_RETRY
    if at is not None:
        yield at
