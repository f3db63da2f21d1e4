"""A reader finds what he needs on the site, with a large screen and with a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import SCREENSHOTS, SITE

if TYPE_CHECKING:
    from harness.browser import Browser

WINDOWS = {"desktop": (1280, 900), "phone": (390, 844)}
WIDTHS = (320, 390, 768, 1024, 1216, 1280, 1312, 1320, 1366, 1472, 1920)
NO_PAGES = {"genindex.html", "index.html", "search.html"}
PAGES = sorted(
    str(page.relative_to(SITE)) for page in SITE.rglob("*.html") if page.name not in NO_PAGES
)
FOUND = "document.querySelectorAll('#search-results li a')"
TEXT = "document.querySelector('[role=main]').innerText"
WIDEST = "document.scrollingElement.scrollWidth"


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest, browser: Browser) -> str:
    name: str = request.param
    browser.resize(*WINDOWS[name])
    return name


def test_the_start_page_leads_to_a_gateway(browser: Browser, address: str, window: str) -> None:
    browser.open(address)

    assert browser.evaluate("document.title") == "gatecert"
    assert "make demo" in browser.evaluate(TEXT)
    assert browser.evaluate(WIDEST) <= WINDOWS[window][0]
    browser.screenshot(SCREENSHOTS / f"start-{window}.png")

    browser.click("document.querySelector('[role=main] a[href$=\"first-gateway.html\"]')")

    assert "server-cert" in browser.evaluate(TEXT)
    browser.screenshot(SCREENSHOTS / f"first-gateway-{window}.png")


def test_the_search_finds_dns_01(browser: Browser, address: str, window: str) -> None:
    browser.open(address)

    browser.enter("input[name=q]", "dns-01")
    browser.wait("!document.querySelector('#search-results h2').innerText.startsWith('Searching')")
    browser.wait(f"[...{FOUND}].length > 3")
    browser.screenshot(SCREENSHOTS / f"search-{window}.png")

    titles = browser.evaluate(f"[...{FOUND}].map(each => each.innerText)")
    assert {"DNS challenges", "Challenges", "Configuration"} <= set(titles)

    browser.click(f"[...{FOUND}].find(each => each.innerText == 'DNS challenges')")

    assert "dns-01" in browser.evaluate(TEXT)
    assert browser.evaluate("document.title") == "DNS challenges - gatecert"


def test_the_navigation_has_the_order_of_the_index(browser: Browser, address: str) -> None:
    browser.resize(*WINDOWS["desktop"])
    browser.open(address)

    captions = browser.evaluate(
        "[...document.querySelectorAll('.sidebar-tree .caption-text')].map(each => each.innerText)"
    )

    assert captions[:2] == ["FIRST STEPS", "GATEWAYS"]
    assert captions.index("GATEWAYS") < captions.index("REFERENCE")


def test_the_search_needs_no_web_server(program: Browser) -> None:
    program.open(f"file://{SITE}/search.html?q=haproxy")

    program.wait(f"[...{FOUND}].some(each => each.innerText == 'HAProxy')")
    program.open("about:blank")  # ends the look into each page, which a browser refuses for files


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_with_code_and_tables_fits_every_window(
    browser: Browser, address: str, width: int
) -> None:
    browser.resize(width, 800)

    browser.open(address + "docs/gateways/README.html")

    assert browser.evaluate(WIDEST) <= width


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_phone(browser: Browser, address: str, page: str) -> None:
    browser.resize(*WINDOWS["phone"])

    browser.open(address + page)

    assert browser.evaluate("document.querySelectorAll('[role=main] h1').length") == 1
    assert browser.evaluate(WIDEST) <= WINDOWS["phone"][0]
