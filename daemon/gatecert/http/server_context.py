"""TLS contexts of servers, made of PEM files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from gatecert import regular_files
from gatecert.errors import CertificateError
from gatecert.http.key_pair import load_key_pair, refuse_file

MINIMUM_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def server_context(
    certificate: str,
    key: str,
    client_authorities: str = "",
    *,
    require_client: bool = False,
    minimum_version: str = "TLS12",
) -> ssl.SSLContext:
    """Return a context that speaks HTTP/1.1 over TLS.

    Args:
        certificate: File with the certificate and its chain.
        key: File with its key.
        client_authorities: File with the CAs of client certificates; empty to ask for none.
        require_client: Whether a client without a certificate is refused.
        minimum_version: ``TLS12`` or ``TLS13``.

    Raises:
        CertificateError: A file cannot be used; one line, without content of the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MINIMUM_VERSIONS[minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load_key_pair(context, Path(certificate), Path(key))
    if client_authorities:
        _load_authorities(context, Path(client_authorities))
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    return context


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(cadata=regular_files.read(path).decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:  # ValueError: it is empty
        raise CertificateError(
            f"{path} contains no PEM certificate that can be used",
            fix="write the certificates of the client CAs to it",
        ) from error
    except OSError as error:
        refuse_file(path, error)
