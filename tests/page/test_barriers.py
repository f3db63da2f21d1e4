"""axe-core finds no barrier (https://www.w3.org/TR/WCAG21/), light or dark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL
from tests.fakes.many_statuses import many

from .conftest import AXE

if TYPE_CHECKING:
    from harness.browser import Browser

    from .serving import ServedPage

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
FOUND = f"""
axe.run(document, {OPTIONS}).then(({{ passes, violations }}) => [passes.length, violations.map(
  each => [each.id, each.help, ...each.nodes.slice(0, 3).map(node => node.html)])])
"""
PAGES = ("", "?q=nothing-has-this-name", "gateways/full", "gateways/boston-0000", "gateways/late")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", PAGES)
def test_there_is_no_barrier(
    browser: Browser, page: ServedPage, path: str, width: int, scheme: str
) -> None:
    page.show((*EVERY_STATE, FULL, *many(10)))
    browser.resize(width, 900)
    browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    browser.open(page.address + path)
    browser.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")

    assert violations(browser) == []


def test_there_is_no_barrier_while_the_daemon_does_not_run(
    browser: Browser, page: ServedPage
) -> None:
    page.show((BOSTON,), daemon=None)
    browser.open(page.address)

    assert violations(browser) == []


def violations(browser: Browser) -> list[list[str]]:
    """Return what axe-core finds on the open page."""
    assert AXE.exists(), "run tests/page/axe-core .cache/axe-core first"
    browser.evaluate(f"{AXE.read_text('utf-8')}; 0")
    passed, found = browser.evaluate(FOUND)
    assert passed > 10
    violations: list[list[str]] = found
    return violations
