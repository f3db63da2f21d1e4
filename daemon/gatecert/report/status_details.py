"""The status of one gateway for people, in full, each fact once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.report.attention import SELF_SIGNED, advice, attempts, level, step_words, unread
from gatecert.report.fleet_lines import halt_lines
from gatecert.report.status_list import SYMBOLS, daemon_advice, daemon_words
from gatecert.report.terminal import Style
from gatecert.time_format import ago, ahead, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.report.gateway_status import (
        ClientAuthenticationStatus,
        GatewayStatus,
        RevocationStatus,
    )
    from gatecert.report.terminal import Terminal

Row = tuple[str, str]


def status_details(
    one: GatewayStatus, daemon: int | None, now: datetime, terminal: Terminal
) -> list[str]:
    """Return everything that is known of a gateway and worth reading.

    Args:
        one: The gateway.
        daemon: Process id of the daemon, if it runs.
        now: Current time.
        terminal: Where the lines are shown.
    """
    how = level(one)
    symbol, style = SYMBOLS[how]
    name, state = terminal.styled(one.name, Style.BOLD), terminal.styled(one.state, style)
    mark = terminal.styled(terminal.plain(symbol), style)
    words = one.words.removeprefix(f"{one.state} ")  # "skipped (region cn)"
    lines = terminal.wrap(f"{name} {state}: {words}", first=f"{mark} ")
    to_do = advice(one)
    if to_do:
        lines += terminal.wrap(to_do, first="  → ")
    lines.append("")
    rows = dict.fromkeys((text, label) for label, text in detail_rows(one, now) if text)
    rows[daemon_words(daemon), "daemon"] = None
    width = max(len(label) for _, label in rows)
    for text, label in rows:
        lines += terminal.wrap(text, first=f"  {label:<{width}}  ")
    if daemon is None:
        lines += terminal.wrap(daemon_advice(), first=f"  {'':<{width}}  → ")
    return lines


def detail_rows(one: GatewayStatus, now: datetime) -> Iterator[Row]:
    """Return every fact with its label; an empty one is left out."""
    yield "hostname", one.hostname if one.is_looked_up else f"{one.hostname}, not looked up"
    yield from _problem(one, now)
    yield from _certificate(one, now)
    if one.state not in SELF_SIGNED:
        yield "served", _served(one, now)
    yield from _fleet(one)
    if one.ddns is not None and one.ddns.published_at is not None:
        published = ago(one.ddns.published_at, now, exact=True)
        yield "address", f"{', '.join(one.ddns.addresses)}, published {published}"
    if not one.failures:
        yield "next", _next(one, now)
    if one.last_error is None:
        yield "last", one.detail
    for planned in one.challenges:
        if planned.reason:
            kind = planned.kind or "no challenge"
            yield "challenge", f"{planned.name} by {kind}, because {planned.reason}"
    for left in one.authorities_left:
        yield "CA", f"{left.name} is not used before {instant(left.until)}: {left.reason}"
    if one.client_authentication is not None:
        yield from _client_authentication(one.client_authentication, now)


def _fleet(one: GatewayStatus) -> Iterator[Row]:
    if one.fleet is not None:
        yield "fleet", one.fleet.words
        for line in halt_lines([one]):
            yield "", line


def _problem(one: GatewayStatus, now: datetime) -> Iterator[Row]:
    error = one.last_error
    yield "error", unread(one)
    yield "attempts", attempts(one, now, exact=True)
    if error is not None:
        yield "error", f"{error.message} [{error.code}], {ago(error.at, now, exact=True)}"
    if one.warning:
        yield "warning", one.warning
        if error is not None and one.warning_fix != error.fix:
            yield "", f"→ {one.warning_fix}"


def _certificate(one: GatewayStatus, now: datetime) -> Iterator[Row]:
    if one.names != (one.hostname,):
        yield "names", ", ".join(one.names)
    yield "issuer", f"{one.issuer} ({one.authority})" if one.authority else one.issuer
    if one.not_after is not None:
        yield "expires", _end(one.not_after, now)
    if one.second is not None:
        second = one.second
        end = f"expires {_end(second.not_after, now)}"
        yield "second", f"{second.algorithm.upper()}, {second.issuer}, {end}"
    if one.revocation is not None:
        yield "revoked", _revoked(one.revocation, now)


def _end(end: datetime, now: datetime) -> str:
    return ahead(end, now, exact=True) if end > now else ago(end, now, exact=True)


def _served(one: GatewayStatus, now: datetime) -> str:
    seen = ago(one.served_at, now, exact=True) if one.served_at is not None else ""
    if one.served:
        return f"yes, proven {seen}"
    if one.served is None:
        return "not known: no handshake has proven it yet"
    is_told = one.last_error is not None and one.served_detail in one.last_error.message
    why = "" if is_told else one.served_detail
    return "".join(("no", f", seen {seen}" if seen else "", f": {why}" if why else ""))


def _next(one: GatewayStatus, now: datetime) -> str:
    if one.next_at is None:
        return ""
    why = one.next_action.partition(": ")[2]
    return f"{step_words(one)} {ahead(one.next_at, now, exact=True)}: {why}"


def _revoked(revocation: RevocationStatus, now: datetime) -> str:
    """Return when and why it was revoked, or why that is not known; empty if it is valid."""
    if revocation.revoked and revocation.revoked_at is not None:
        since = ago(revocation.revoked_at, now, exact=True)
        return f"{since} ({revocation.reason}), according to {revocation.source}"
    return f"not known: {revocation.problem}" if revocation.problem else ""


def _client_authentication(status: ClientAuthenticationStatus, now: datetime) -> Iterator[Row]:
    roots = [each for each in status.authorities if each.is_root]
    for each in roots:
        yield "client CA", f"{each.subject}, expires {_end(each.not_after, now)}"
    if not roots:
        yield "client CA", "none: no client is accepted"
    if status.asked and status.asked_at is not None:
        yield "requested", f"yes, proven {ago(status.asked_at, now, exact=True)}"
    if status.error:
        yield "requested", f"no: {status.error}"
    for warning in status.warnings:
        yield "warning", warning
