"""A reader finds what needs him, with a large screen, a phone, a printer, and without a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL, gateway
from tests.fakes.many_statuses import many

from gatecert.report.attention import advice, level
from gatecert.report.gateway_status import Condition

from .conftest import SCREENSHOTS

if TYPE_CHECKING:
    from gatecert.report.gateway_status import GatewayStatus
    from harness.browser import Browser

    from .serving import ServedPage

ALL = (*EVERY_STATE, FULL)
WIDTHS = (320, 360, 768, 1280)
SCENES = {"one": (BOSTON,), "three": (EVERY_STATE[0], EVERY_STATE[3], EVERY_STATE[4]), "all": ALL}
WIDEST = "document.scrollingElement.scrollWidth"
TEXT = "document.querySelector('main').innerText"
NAMES = "[...document.querySelectorAll('.list > li a')].map(each => each.textContent)"


def test_the_gateways_that_need_a_person_come_first(browser: Browser, page: ServedPage) -> None:
    page.show(ALL)
    browser.open(page.address)

    assert browser.evaluate("document.querySelector('h1').innerText") == "11 of 18 need you"
    assert browser.evaluate("document.title") == "11 of 18 need you · gatecert"
    assert browser.evaluate(NAMES) == [one.name for one in sorted(ALL, key=level)]
    text = browser.evaluate(TEXT)
    assert "daemon running (process 4711) · as of 2026-11-29 10:30:00 UTC" in text
    for one in ALL:
        assert one.hostname in text
        assert f"→ {advice(one)}" in text or not advice(one)


def test_a_row_says_its_state_in_a_word_and_with_a_symbol(
    browser: Browser, page: ServedPage
) -> None:
    page.show((gateway("void", Condition.EMPTY, not_after=None), BOSTON))
    browser.open(page.address)

    rows = browser.evaluate(
        "[...document.querySelectorAll('.list > li')].map(each =>"
        " [getComputedStyle(each, '::before').content[1], each.querySelector('b').textContent])"
    )

    assert rows == [["✗", "empty"], ["✓", "trusted"]]


def test_the_timeline_is_told_in_words(browser: Browser, page: ServedPage) -> None:
    page.show((BOSTON,))
    browser.open(page.address)

    told = browser.evaluate("document.querySelector('svg[role=img]').getAttribute('aria-label')")

    assert told == "issued 30 Oct, renews 27 Jan, ends 28 Jan"


def test_a_gateway_is_shown_in_full(browser: Browser, page: ServedPage) -> None:
    page.show(ALL)
    browser.open(page.address)

    browser.click("[...document.querySelectorAll('a')].find(each => each.textContent == 'full')")

    assert browser.evaluate("document.title") == "full trusted · gatecert"
    text = browser.evaluate(TEXT)
    for told in ("zerossl is not used before", "RSA, CN=R12", "dns-01, because", "ends in 60 d"):
        assert told in text

    browser.click("document.getElementById('back')")
    assert browser.evaluate("document.querySelectorAll('.list > li').length") == len(ALL)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scene", SCENES)
def test_it_fits_every_window(
    browser: Browser, page: ServedPage, scene: str, width: int, scheme: str
) -> None:
    statuses: tuple[GatewayStatus, ...] = SCENES[scene]
    page.show(statuses)
    browser.prefer(prefers_color_scheme=scheme)
    for name, path in (("list", ""), ("gateway", f"gateways/{statuses[-1].name}")):
        browser.resize(width, 900)
        browser.open(page.address + path)

        assert browser.evaluate(WIDEST) <= width
        browser.wait("document.getElementById('live').innerText == 'live'")
        browser.screenshot(SCREENSHOTS / f"{scene}-{name}-{width}-{scheme}.png", whole=True)


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_thousands_of_gateways(browser: Browser, page: ServedPage, width: int) -> None:
    page.show(many(3_000))
    browser.resize(width, 900)

    browser.open(page.address)

    assert browser.evaluate("document.querySelectorAll('.list > li').length") == 3_000
    assert browser.evaluate(WIDEST) <= width
    browser.screenshot(SCREENSHOTS / f"thousands-list-{width}-light.png")


def test_dark_mode_is_dark(browser: Browser, page: ServedPage) -> None:
    page.show(ALL)
    browser.prefer(prefers_color_scheme="dark")
    browser.open(page.address)

    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")

    assert ground == "rgb(18, 21, 24)"


def test_it_can_be_printed(browser: Browser, page: ServedPage) -> None:
    page.show(ALL)
    browser.prefer(medium="print")
    browser.open(page.address)

    hidden = "getComputedStyle(document.querySelector('form')).display"
    assert browser.evaluate(hidden) == "none"
    assert "→ check install.reload and the log of the server" in browser.evaluate(TEXT)
    browser.screenshot(SCREENSHOTS / "all-list-print.png", whole=True)


def test_it_needs_no_script(browser: Browser, page: ServedPage) -> None:
    page.show(ALL)
    browser.allow_scripts(allowed=False)
    browser.open(page.address)

    assert browser.evaluate("document.querySelector('noscript meta').content") == "30"
    assert browser.evaluate("document.getElementById('live').innerText") == ""

    browser.enter("#q", "kiel")

    assert browser.evaluate("location.search") == "?q=kiel"
    assert browser.evaluate(NAMES) == ["kiel"]
    assert browser.evaluate("document.getElementById('q').value") == "kiel"
    assert "1 of 18 shown" in browser.evaluate(TEXT)


def test_a_daemon_that_does_not_run_and_what_else_does_not_work_come_first(
    browser: Browser, page: ServedPage
) -> None:
    page.show((BOSTON,), daemon=None)
    browser.open(page.address)

    text = browser.evaluate(TEXT)

    assert "daemon not running" in text
    assert "→ nothing is renewed until it runs: systemctl start gatecert" in text
