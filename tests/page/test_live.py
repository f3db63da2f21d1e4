"""An open page follows what happens, and leaves the reader's place, words and focus alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL, gateway
from tests.fakes.many_statuses import many

from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from harness.browser import Browser

    from .serving import ServedPage

COUNT = "document.querySelector('h1')?.innerText"
LIVE = "document.getElementById('live').innerText"
NAMES = "[...document.querySelectorAll('.list > li a')].map(each => each.textContent)"
FRESH_NAMES = """fetch(location).then(answer => answer.text()).then(text =>
  [...new DOMParser().parseFromString(text, "text/html").querySelectorAll(".list > li a")]
    .map(each => each.textContent))"""
FAILS = gateway("boston", Condition.SILENT, served=False)


@pytest.fixture
def opened(browser: Browser, page: ServedPage) -> Browser:
    """Open a page that is live."""
    page.show((*EVERY_STATE, FULL, *many(20)))
    browser.open(page.address)
    browser.wait(f"{LIVE} == 'live'")
    assert browser.evaluate(COUNT) == "12 of 38 need you"
    return browser


def test_a_change_is_shown(opened: Browser, page: ServedPage) -> None:
    page.show((BOSTON,))
    opened.wait(f"{COUNT} == '1 gateway, which is well'")

    page.describe(FAILS)

    opened.wait(f"{COUNT} == '1 of 1 needs you'")
    assert opened.evaluate("document.title") == "1 of 1 needs you · gatecert"


def test_a_change_between_the_page_and_its_events_is_shown(
    browser: Browser, page: ServedPage
) -> None:
    page.show((BOSTON,))
    browser.prefer(prefers_color_scheme="light")
    browser.open(page.address)
    browser.evaluate("document.body.dataset.number")
    page.stop()
    browser.wait(f"{LIVE}.startsWith('no connection; as of 2026-11-29 10:30:00 UTC')")

    page.describe(FAILS)
    page.start()

    browser.wait(f"{COUNT} == '1 of 1 needs you' && {LIVE} == 'live'")
    browser.complaints.clear()  # the connection was refused meanwhile, as it should


def test_the_readers_place_stays(opened: Browser, page: ServedPage) -> None:
    opened.evaluate("document.getElementById('past-boston-0000').open = true")
    opened.evaluate("document.querySelector('a[href=\"gateways/lyon-0002\"]').focus()")
    opened.evaluate("document.activeElement.scrollIntoView({ block: 'center' })")
    opened.evaluate("new Promise(done => setTimeout(done, 100))")  # rows are laid out when seen
    place = "document.activeElement.getBoundingClientRect().top"
    before = opened.evaluate(place)
    assert 100 < before < 800

    page.describe(FAILS)

    opened.wait(f"{COUNT} == '13 of 38 need you'")
    assert opened.evaluate("document.getElementById('past-boston-0000').open")
    assert opened.evaluate("document.activeElement.getAttribute('href')") == "gateways/lyon-0002"
    opened.wait(f"Math.abs({place} - {before}) < 2")
    assert opened.evaluate(f"{NAMES}.indexOf('boston')") < 8


def test_rows_that_stay_the_same_stay(opened: Browser, page: ServedPage) -> None:
    """Of thousands of rows only those that change cost a reader's machine anything."""
    rows = "[...document.querySelectorAll('.list > li')]"
    opened.evaluate(f"for (const each of {rows}) each.kept = true")

    page.describe(FAILS)

    opened.wait(f"{COUNT} == '13 of 38 need you'")
    changed = f"{rows}.filter(each => !each.kept).map(each => each.querySelector('a').textContent)"
    assert opened.evaluate(changed) == ["boston"]
    assert opened.evaluate(NAMES) == opened.evaluate(FRESH_NAMES)


def test_the_filter_works_while_it_is_written(opened: Browser, page: ServedPage) -> None:
    opened.evaluate("document.getElementById('q').focus()")
    opened.write("bos")

    opened.wait(f"{NAMES}.every(name => name.startsWith('boston'))")
    assert opened.evaluate("location.search") == "?q=bos"

    page.describe(FAILS)

    opened.wait(f"{COUNT} == '13 of 38 need you'")
    assert opened.evaluate(f"{NAMES}.every(name => name.startsWith('boston'))")
    opened.write("ton-0000")
    opened.wait(f"{NAMES}.length == 1")
    assert opened.evaluate("document.activeElement.value") == "boston-0000"


def test_text_that_is_being_selected_stays(opened: Browser, page: ServedPage) -> None:
    opened.evaluate("getSelection().selectAllChildren(document.querySelector('.list p'))")
    chosen = opened.evaluate("getSelection().toString()")

    page.describe(FAILS)
    asked = len(page.asked)
    opened.wait("new Promise(done => setTimeout(() => done(true), 500))")

    assert opened.evaluate("getSelection().toString()") == chosen != ""
    assert len(page.asked) == asked
    opened.evaluate("getSelection().removeAllRanges()")
    opened.wait(f"{COUNT} == '13 of 38 need you'")


def test_a_gateway_that_is_gone_leads_to_the_others(browser: Browser, page: ServedPage) -> None:
    page.show((BOSTON, FULL))
    browser.open(f"{page.address}gateways/full")
    browser.wait(f"{LIVE} == 'live'")

    page.show((BOSTON,))

    browser.wait(f"location.pathname == '/' && {COUNT} == '1 gateway, which is well'")
    browser.complaints.clear()  # status 404, as it should
