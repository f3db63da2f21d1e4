"""Checks of the client certificates for authorities (mutual TLS), for `gatecert check`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from gatecert.acme.directory_check import client_certificate, presented_certificate
from gatecert.config.configuration_finding import Finding
from gatecert.errors import CertificateError
from gatecert.http.key_pair import load_key_pair
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.config.schema import Configuration
    from gatecert.http.client_certificate import ClientCertificate


def findings(configuration: Configuration, now: datetime) -> Iterator[Finding]:
    """Yield the client certificates that cannot be used, or that no authority would accept."""
    for name, authority in configuration.authorities.items():
        files = client_certificate(authority)
        if files is not None and (what := complaint(files, presented_certificate(authority), now)):
            yield Finding(("authorities", name, "client_certificate"), what)


def complaint(files: ClientCertificate, certificate: Certificate | None, now: datetime) -> str:
    """Return why every server would refuse a client certificate; empty if none would.

    The rights of the key are checked as those of every secret (``config.files``).

    Args:
        files: The files; those that only the daemon may read count as good.
        certificate: The certificate in its file; None if it cannot be read.
        now: Aware UTC.
    """
    try:
        load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.certificate, files.key)
    except CertificateError as error:
        if not isinstance(error.__cause__, PermissionError):
            return f"{error.message}; {error.fix}"
    return _not_valid(certificate, now) if certificate is not None else ""


def _not_valid(certificate: Certificate, now: datetime) -> str:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        return f"ended at {instant(end)}; replace it and its key"
    return (
        f"is not valid before {instant(begin)}; set the clock if it is wrong" if begin > now else ""
    )
