"""Configured names that an imported certificate does not cover. Pure.

An import must cover every name, but names may be added later. Nothing renews such a certificate
automatically, so the warning remains until a new one is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.certificate.certificate_names import uncovered_names
from gatecert.model import Mode

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary, Target


def missing_names_warning(target: Target, live: CertificateSummary | None) -> tuple[str, str]:
    """Return a warning about names that are not in the certificate, and its fix; empty if none.

    Args:
        target: The gateway.
        live: The certificate in use; None if there is none.
    """
    if live is None or live.is_bootstrap or target.mode is not Mode.CUSTOM:
        return "", ""
    missing = uncovered_names(target.identifiers, live.identifiers)
    if not missing:
        return "", ""
    names = ", ".join(map(str, missing))
    what = f"the certificate in use does not cover {names}: clients that use that name refuse it"
    fix = (
        f"gatecert csr {target.name}, have it signed, and gatecert import {target.name}"
        " --certificate FILE --chain FILE"
    )
    return what, fix
