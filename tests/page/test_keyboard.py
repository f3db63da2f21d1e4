"""Everything can be reached and used with the keyboard, and it shows where the reader is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE
from tests.fakes.many_statuses import many

if TYPE_CHECKING:
    from harness.browser import Browser

    from .serving import ServedPage

HERE = "document.activeElement"
NAMES = "[...document.querySelectorAll('.list > li a')].map(each => each.textContent)"


@pytest.fixture
def opened(browser: Browser, page: ServedPage) -> Browser:
    """Open a page with two gateways that have a history."""
    page.show(many(2))
    browser.open(page.address)
    return browser


def test_tab_goes_from_the_begin_to_the_end(opened: Browser) -> None:
    reached = []
    for _ in range(8):
        opened.press("Tab")
        reached.append(opened.evaluate(f"{HERE}.id || {HERE}.textContent"))
        assert opened.evaluate(f"{HERE}.matches(':focus-visible')")
        assert opened.evaluate(f"getComputedStyle({HERE}).outlineStyle") != "none"

    assert reached == [
        "Skip to content",
        "q",
        "needs",
        "boston-0000",
        "History",
        "kiel-0001",
        "History",
        "JSON",
    ]


def test_a_link_leads_over_everything_else(opened: Browser) -> None:
    opened.press("Tab")
    assert opened.evaluate(f"{HERE}.getBoundingClientRect().left") >= 0
    opened.press("Enter")
    opened.wait("location.hash == '#found'")

    opened.press("Tab")

    assert opened.evaluate(f"{HERE}.textContent") == "boston-0000"


def test_a_gateway_opens_with_enter(opened: Browser) -> None:
    opened.evaluate("document.querySelector('.list a').focus()")
    opened.press("Enter")

    opened.wait("location.pathname == '/gateways/boston-0000'")


def test_a_history_opens_with_space(opened: Browser) -> None:
    opened.evaluate("document.querySelector('summary').focus()")
    opened.press("Space")

    assert opened.evaluate("document.querySelector('details').open")
    assert "is installed" in opened.evaluate("document.querySelector('details').innerText")


def test_the_filter_by_need_is_a_key_away(browser: Browser, page: ServedPage) -> None:
    page.show((BOSTON, *EVERY_STATE[2:5]))
    browser.open(page.address)
    browser.evaluate("document.getElementById('needs').focus()")

    browser.press("Space")

    browser.wait(f"{NAMES}.join() == 'kiel,oslo,lyon'")
    assert browser.evaluate("location.search") == "?needs=1"
    assert browser.evaluate(f"{HERE}.id") == "needs"
    told = browser.evaluate("document.getElementById('shown').innerText")
    assert told == "3 of 4 shown"

    browser.press("Space")
    browser.wait(f"{NAMES}.length == 4 && location.search == ''")
