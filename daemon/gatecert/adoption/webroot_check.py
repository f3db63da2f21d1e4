"""Proof that the web server serves an adopted webroot for each gateway, as a CA will ask it to.

The other client may have answered in another way, for example inside nginx; then the next renewal
would fail. A file is put into the webroot, fetched over port 80 of this host, and removed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.setup.webroot_probe import is_served

if TYPE_CHECKING:
    from gatecert.adoption.plan import Plan

Serves: TypeAlias = Callable[[Path, str], bool]

AT_ONCE: Final = 8


def unserved_names(plan: Plan, serves: Serves = is_served) -> tuple[str, ...]:
    """Return the hostnames for which port 80 does not serve the webroot.

    Args:
        plan: The plan; without a new webroot there is nothing to ask.
        serves: Tells whether a webroot is served for a name.
    """
    webroot = plan.webroot
    if webroot is None:
        return ()
    names = [each.adoptable.hostname for each in plan.gateways if each.is_new and each.uses_http_01]
    with ThreadPoolExecutor(AT_ONCE, "webroot") as pool:
        answers = list(pool.map(lambda name: serves(webroot, name), names))
    return tuple(name for name, served in zip(names, answers, strict=True) if not served)
