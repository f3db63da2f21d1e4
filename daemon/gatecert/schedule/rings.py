"""Decide whether a host has to wait before it installs a new generation. Pure.

The rules, in the order in which they apply; each names the instant at which it ends:

- While the fleet is halted, by the operator or by its brake, only what ends within a day goes on.
- What one host of the cluster has rolled back, no other one installs before its certificate ends
  within a day, until the operator resumes.
- A host of ring 1 does not wait otherwise. A host of a later ring waits until the generation is
  proven on all live hosts of earlier rings and on one of them at least, for 24 hours at most, and
  not with under a tenth of the lifetime of its certificate left.

What replaces a revoked certificate never waits, and neither does a host that serves no certificate
of a CA, a revoked one, or one that clients refuse (``deploy.inventory``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.model.fleet import ENDS_SOON
from gatecert.model.roll_out import RollOutWait
from gatecert.schedule.urgency import ending_from
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.model import CertificateSummary
    from gatecert.model.roll_out import HostReport, RollOut

LONGEST_WAIT: Final = timedelta(hours=24)  # for earlier rings
RESUME: Final = "run gatecert fleet resume"


def roll_out_wait(
    roll_out: RollOut, served: CertificateSummary, now: datetime
) -> RollOutWait | None:
    """Return why a host does not install a generation yet; None if its turn has come.

    Args:
        roll_out: How far the generation has come.
        served: The certificate that the host serves meanwhile.
        now: Aware UTC.
    """
    if roll_out.is_urgent:
        return None
    waits = (*_halted(roll_out, served), *_stopped(roll_out, served), *_in_turn(roll_out, served))
    return next((wait for wait in waits if now < wait.until), None)


def _halted(roll_out: RollOut, served: CertificateSummary) -> Iterator[RollOutWait]:
    halt, until = roll_out.halt, served.not_after - ENDS_SOON
    waits = f"generation {roll_out.generation} is not installed here yet"
    if halt.brake_since is not None:
        reason = f"the brake of the fleet is on since {instant(halt.brake_since)}"
        reason = f"{waits}: {reason}: {halt.brake_reason}"
        fix = f"find out why certificates are refused, then {RESUME}"
        yield RollOutWait(roll_out.generation, until, reason, fix)
    if halt.paused_since is not None:
        why = f": {halt.pause_reason}" if halt.pause_reason else ""
        reason = f"{waits}: the fleet is paused since {instant(halt.paused_since)}{why}"
        yield RollOutWait(roll_out.generation, until, reason, RESUME)


def _stopped(roll_out: RollOut, served: CertificateSummary) -> Iterator[RollOutWait]:
    refused = next((each for each in roll_out.others if each.roll_back), None)
    if refused is None:
        return
    reason = (
        f"generation {roll_out.generation} is not installed here yet: {refused.host} rolled it"
        f" back: {refused.roll_back}"
    )
    fix = f"correct that on {refused.host}, which tries again by itself, or {RESUME}"
    yield RollOutWait(roll_out.generation, served.not_after - ENDS_SOON, reason, fix)


def _in_turn(roll_out: RollOut, served: CertificateSummary) -> Iterator[RollOutWait]:
    before = [each for each in roll_out.others if each.ring < roll_out.ring]
    missing = [each for each in before if each.is_live and not each.is_passed]
    if not missing and not any(each.is_passed for each in before):
        missing = before
    if not missing:
        return
    until = min(roll_out.written + LONGEST_WAIT, ending_from(served))
    ring = min(each.ring for each in missing)
    names = ", ".join(_described(each) for each in missing if each.ring == ring)
    reason = f"generation {roll_out.generation} waits for ring {ring}: {names}"
    fix = f"no action needed: it is installed here at {instant(until)} at the latest"
    yield RollOutWait(roll_out.generation, until, reason, fix)


def _described(report: HostReport) -> str:
    return f"{report.host} {'has not proven it yet' if report.is_live else 'is silent'}"
