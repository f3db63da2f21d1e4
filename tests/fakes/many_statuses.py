"""Statuses of thousands of gateways with the times that a real host has: no two alike."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.fakes.gateway_statuses import BOOTSTRAP, DAY, NOW, error, gateway

from gatecert.model import PastOutcome
from gatecert.outcome_kinds import OutcomeKind
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from gatecert.report.gateway_status import GatewayStatus

CITIES = ("boston", "kiel", "lyon", "oslo", "bern", "porto", "gent", "turku", "zadar", "brno")
MINUTES = 24 * 60


def many(count: int, seed: int = 14) -> list[GatewayStatus]:
    """Return statuses, some of each hundred with a problem."""
    chance = random.Random(seed)
    return [_one(number, chance) for number in range(count)]


def _one(number: int, chance: random.Random) -> GatewayStatus:
    name = f"{CITIES[number % len(CITIES)]}-{number:04}"
    age = timedelta(minutes=chance.randrange(60 * MINUTES))
    served = timedelta(minutes=chance.randrange(MINUTES))
    begin = NOW - age
    renews = begin + 60 * DAY + timedelta(minutes=chance.randrange(3 * MINUTES))
    one = replace(
        gateway(name),
        hostname=f"{name}.vpn.example.com",
        not_before=begin,
        not_after=begin + 90 * DAY,
        days_left=(begin + 90 * DAY - NOW).days,
        served_at=NOW - served,
        next_at=renews,
        points_here=True,
        history=(
            PastOutcome(
                at=begin,
                kind=OutcomeKind.RENEWED,
                detail=f"the certificate of {name} is installed, proven at 127.0.0.1:443",
                code="",
                since=begin,
            ),
        ),
    )
    again = NOW + timedelta(minutes=chance.randrange(300))
    match chance.randrange(100):
        case 0:
            refused = error(
                "not-served",
                "127.0.0.1:443 serves the certificate old.example.com",
                "check install.reload and the log of the server",
            )
            return replace(
                one,
                state=Condition.NOT_SERVED,
                served=False,
                last_error=refused,
                next_action="deploy: a listener serves another certificate",
                next_at=again,
            )
        case 1 | 2:
            text = f"{name}.vpn.example.com resolves to 198.51.100.{chance.randrange(256)}"
            moved = error("name-not-here", text, "point the name at this gateway")
            return replace(one, failures=chance.randrange(1, 30), last_error=moved, next_at=again)
        case 3:
            waits = gateway(name, Condition.WAITING, **BOOTSTRAP, next_at=again, not_before=begin)
            return replace(waits, hostname=one.hostname)
        case _:
            return one
