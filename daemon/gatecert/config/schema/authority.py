"""Certificate authorities (RFC 8555), in the order in which they are tried."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator

from gatecert.config.names import host_name
from gatecert.config.paths import AnyFile, SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.values import BadValueError, Switch, Text, shown, text, written_as


def directory_url(value: object) -> str:
    """The URL of an ACME directory: https only (RFC 8555 section 6.1, CVE-2025-54799)."""
    written = text(value)
    try:
        parts = urlsplit(written)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadValueError("is not a URL; write https://host/path") from error
    if parts.username is not None or parts.password is not None:
        raise BadValueError("must not contain a user name or password")
    if parts.scheme == "http":
        raise BadValueError(
            f"{shown(written)} is not safe: over plain http anybody on the way could pose as the "
            f"authority; write https://"
        )
    if parts.scheme != "https" or not host or port == 0 or re.search(r"\s", written):
        raise BadValueError(f"{shown(written)} is not an ACME directory; write https://host/path")
    if parts.fragment:
        raise BadValueError(f"{shown(written)} must not end in #{parts.fragment}")
    return written


def mail_address(value: object) -> str:
    """One bare mail address; ``mailto:`` in front is taken off (RFC 8555 section 7.3)."""
    written = text(value)
    address = written[7:] if written.lower().startswith("mailto:") else written
    local, at, domain = address.rpartition("@")
    if not at or not re.fullmatch(r"[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}", local):
        raise BadValueError(
            f"{shown(written)} is not a mail address; write one like ops@example.com"
        )
    return f"{local}@{host_name(domain)}"


DirectoryURL = Annotated[
    str,
    PlainValidator(directory_url),
    written_as("URL", format="uri", pattern=r"^https://\S+$"),
]
MailAddress = Annotated[str, PlainValidator(mail_address), written_as("mail address")]


class MacAlgorithm(StrEnum):
    """HMAC algorithms of external account binding (RFC 8555 section 7.3.4, RFC 7518)."""

    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"


class ExternalAccountSettings(Settings):
    """Binding to an account that the authority already knows (EAB, RFC 8555 section 7.3.4)."""

    key_id: Text = Field(description="Key identifier that the authority gave you.")
    hmac_key_file: SecretFile = Field(
        description="File that holds the authority's HMAC key (base64url), or credential:NAME.",
    )
    algorithm: Annotated[MacAlgorithm, *choice(MacAlgorithm)] = Field(
        default=MacAlgorithm.HS256, description="HMAC algorithm: HS256, HS384 or HS512."
    )


class AuthoritySettings(Settings):
    """A certificate authority.

    ``name`` is its key in ``authorities``; it is not written a second time.
    """

    unwritten: ClassVar[frozenset[str]] = frozenset({"name"})

    name: Text = Field(default="", description="The key.")
    directory_url: DirectoryURL = Field(description="URL of the ACME directory, https only.")
    contact: tuple[MailAddress, ...] = Field(
        default=(), description="Mail addresses at which the authority may reach you."
    )
    terms_of_service_agreed: Switch = Field(
        default=False,
        description="Whether you agree to the authority's terms of service. Without it, nothing "
        "is enrolled there.",
    )
    ca_bundle: AnyFile | None = Field(
        default=None,
        description="PEM file with the roots to trust for the authority's own HTTPS. Default: the "
        "system's.",
    )
    trusted_roots: AnyFile | None = Field(
        default=None,
        description="PEM file with the roots that issued chains must end in; others are refused. "
        "Default: any root, and one that this machine does not trust is said to be so.",
    )
    profile: Text | None = Field(
        default=None,
        description="ACME profile to ask for, such as shortlived. Default: the authority's choice.",
    )
    external_account: ExternalAccountSettings | None = Field(
        default=None, description="External account binding, where the authority demands it."
    )
