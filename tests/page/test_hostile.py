"""Text of CAs, DNS servers and certificates is shown, never run, and cannot disguise the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import FULL, NOW, error, gateway

from gatecert.model import PastOutcome
from gatecert.outcome_kinds import OutcomeKind
from gatecert.report.gateway_status import Condition
from gatecert.report.monitoring_status import ListenerStatus, MonitoringStatus, ReceiverStatus

from .conftest import SCREENSHOTS

if TYPE_CHECKING:
    from gatecert.report.gateway_status import GatewayStatus
    from harness.browser import Browser

    from .serving import ServedPage

RUNS = "window.ran = true"
ATTACKS = {
    "script": f"<script>{RUNS}</script>",
    "end-of-script": f"</script><script>{RUNS}</script>",
    "end-of-style": f"</style><script>{RUNS}</script>",
    "end-of-title": f"</title><img src=x onerror='{RUNS}'>",
    "quotes": f"\"'><svg onload=\"{RUNS}\"><a href='javascript:{RUNS}'>",
    "attribute": f'" autofocus onfocus="{RUNS}" x="',
    "template": "{{ 7 * 7 }} {% raw %} {# hidden #}",
    "entity": "&lt;b&gt; &#x3c;script&#x3e; &amp;quot;",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m",
    "lines": "first\r\nsecond\n\n<li class='f'>third",
    "bidi": "\u202egnp.exe\u202c \u2066\u2067 \u200b\u200f\ufeff",
    "nul": "a\x00b\x7f\x85\ud800",
    "long": "x" * 10_000,
    "long-words": "xyz <b> " * 1_250,
}
HIDDEN = "\x00\x07\x1b\x7f\x85\x9b\u200b\u200f\u202e\u202c\u2066\u2067\ufeff\ud800"
TEXT = "document.documentElement.textContent"


def attacked(text: str) -> GatewayStatus:
    """Return a status with this text wherever text may come from elsewhere."""
    past = PastOutcome(NOW, OutcomeKind.FAILED, text[:200], "acme", NOW, 3)
    return replace(
        FULL,
        name="full",
        hostname=text,
        state=Condition.NOT_SERVED,
        served=False,
        served_detail=text,
        detail=text,
        names=(text, text),
        issuer=f"CN={text}",
        authority=text,
        next_action=f"enrol: {text}",
        last_error=error("acme", f"CA: {text}", text),
        warning=text,
        warning_fix=text,
        history=(past,),
    )


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("path", ["", "gateways/full"])
def test_hostile_text_is_only_text(
    browser: Browser, page: ServedPage, path: str, kind: str
) -> None:
    text = ATTACKS[kind]
    page.show((attacked(text), gateway("boston")))
    failing = (ReceiverStatus("ops", problem=text, fix=text),)
    listeners = (ListenerStatus("page", "127.0.0.1:1", text, text),)
    page.change(lambda: setattr(page.overview, "monitoring", MonitoringStatus(listeners, failing)))
    for width in (1280, 360):
        browser.resize(width, 900)
        browser.open(page.address + path)
        browser.wait("document.getElementById('live').innerText == 'live'")

        assert browser.evaluate("typeof window.ran") == "undefined"
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= width
    assert browser.evaluate("document.scripts.length") == 1
    shown = browser.evaluate(TEXT)
    assert not set(shown) & set(HIDDEN)
    if text.isascii() and text.isprintable() and len(text) < 200:
        assert text in shown
    assert "x" * 2_001 not in shown
    browser.screenshot(SCREENSHOTS / f"hostile-{kind}-{'gateway' if path else 'list'}.png")


def test_hostile_text_in_the_filter_is_only_text(browser: Browser, page: ServedPage) -> None:
    page.show((gateway("boston"), gateway("oslo")))

    browser.open(f"{page.address}?q=%22%3E%3Cscript%3Ewindow.ran%3Dtrue%3C/script%3E%E2%80%AE")

    assert browser.evaluate("typeof window.ran") == "undefined"
    value = browser.evaluate("document.getElementById('q').value")
    assert value.strip() == '"><script>window.ran=true</script>'


def test_the_policy_stops_what_is_not_the_pages_own(browser: Browser, page: ServedPage) -> None:
    page.show((gateway("boston"),))
    browser.open(page.address)

    browser.evaluate(
        "for (const kind of ['script', 'style']) {"
        " const each = document.createElement(kind);"
        " each.textContent = kind == 'script' ? 'window.ran = true' : 'h1 { display: none }';"
        " document.head.append(each); }"
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"/x.png\" onerror=\"ran = 1\">')"
    )
    browser.wait("new Promise(done => setTimeout(() => done(true), 200))")

    assert browser.evaluate("typeof window.ran") == "undefined"
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
    assert len([each for each in browser.complaints if "Content Security Policy" in each]) >= 3
    browser.complaints.clear()
