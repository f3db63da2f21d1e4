"""Whether a certificate that an administrator looks after is still for the configured names. Pure.

An import has to cover every name, but names may be configured later. Nobody renews such a
certificate by itself, so it is said until a new one is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.certificate.certificate_names import uncovered_names
from gatecert.model import Mode

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary, Target


def missing_names_warning(target: Target, live: CertificateSummary | None) -> tuple[str, str]:
    """What is to be said of names that are not in the certificate, and what to do; empty if none.

    Args:
        target: The gateway.
        live: The certificate in use; None where there is none.
    """
    if live is None or live.is_bootstrap or target.mode is not Mode.CUSTOM:
        return "", ""
    missing = uncovered_names(target.identifiers, live.identifiers)
    if not missing:
        return "", ""
    names = ", ".join(map(str, missing))
    what = f"the certificate in use is not for {names}: clients refuse the gateway by that name"
    fix = (
        f"gatecert csr {target.name}, have it signed, and gatecert import {target.name}"
        " --certificate FILE --chain FILE"
    )
    return what, fix
