"""ACME CAs (RFC 8555), in the order in which they are tried."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gatecert.config.names import host_name
from gatecert.config.paths import AnyFile, SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.schema.rate_limit_settings import OFF, LimitSettings
from gatecert.config.values import (
    FALSE,
    BadValueError,
    OrdersAtOnce,
    Switch,
    Text,
    quoted,
    text,
    text_schema,
)
from gatecert.config.well_known import DISCONTINUED, PUBLIC_CAS
from gatecert.model import KeyType


def directory_url(value: object) -> str:
    """Parse the URL of an ACME directory: https only (RFC 8555 section 6.1, CVE-2025-54799).

    The short name of a public CA stands for its directory.
    """
    written = text(value)
    known = PUBLIC_CAS.get(written.lower())
    if known is not None:
        return known.directory_url
    if written.lower() in DISCONTINUED:
        raise BadValueError(
            f"{quoted(written)} is not available any more: {DISCONTINUED[written.lower()]}"
        )
    try:
        parts = urlsplit(written)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadValueError("is not a URL; write https://host/path") from error
    if parts.username is not None or parts.password is not None:
        raise BadValueError("must not contain a user name or password")
    if parts.scheme == "http":
        raise BadValueError(
            f"{quoted(written)} is not safe: over plain http anyone on the path could impersonate "
            f"the CA; write https://"
        )
    if parts.scheme != "https" or not host or port == 0 or re.search(r"\s", written):
        raise BadValueError(
            f"{quoted(written)} is not an ACME directory; write https://host/path, or one of "
            f"{', '.join(PUBLIC_CAS)}"
        )
    if parts.fragment:
        raise BadValueError(f"{quoted(written)} must not have a fragment (#{parts.fragment})")
    return written


def mail_address(value: object) -> str:
    """Parse one mail address; a leading ``mailto:`` is removed (RFC 8555 section 7.3)."""
    written = text(value)
    address = written[7:] if written.lower().startswith("mailto:") else written
    local, at, domain = address.rpartition("@")
    if not at or not re.fullmatch(r"[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}", local):
        raise BadValueError(
            f"{quoted(written)} is not a mail address; write one like ops@example.com"
        )
    return f"{local}@{host_name(domain)}"


class ProfileChoice(NamedTuple):
    """An ACME profile, and whether a CA must support it."""

    name: str
    required: bool = True


def profile_choice(value: object) -> ProfileChoice:
    """Parse a profile's name, ``{required: NAME}`` or ``{preferred: NAME}``."""
    if isinstance(value, ProfileChoice):
        return value
    if not isinstance(value, dict):
        return ProfileChoice(text(value))
    if len(value) != 1 or not value.keys() <= {"required", "preferred"}:
        raise BadValueError(
            "is not a profile; write its name, {required: NAME} or {preferred: NAME}"
        )
    ((how, name),) = value.items()
    return ProfileChoice(text(name), required=how == "required")


def _profile_text(choice: ProfileChoice | None) -> str | dict[str, str] | None:
    if choice is None or choice.required:
        return choice and choice.name
    return {"preferred": choice.name}


DirectoryURL = Annotated[
    str,
    PlainValidator(directory_url),
    WithJsonSchema(
        {
            "title": "URL or short name",
            "anyOf": [
                {"type": "string", "format": "uri", "pattern": r"^https://\S+$"},
                {"enum": list(PUBLIC_CAS)},
            ],
        }
    ),
]
Profile = Annotated[
    ProfileChoice,
    PlainValidator(profile_choice),
    PlainSerializer(_profile_text),
    WithJsonSchema(
        {
            "title": "name, or required or preferred name",
            "anyOf": [
                {"type": "string", "minLength": 1},
                *(
                    {
                        "type": "object",
                        "properties": {how: {"type": "string", "minLength": 1}},
                        "required": [how],
                        "additionalProperties": False,
                    }
                    for how in ("required", "preferred")
                ),
            ],
        }
    ),
]
MailAddress = Annotated[str, PlainValidator(mail_address), text_schema("mail address")]


class MacAlgorithm(StrEnum):
    """HMAC algorithms of external account binding (RFC 8555 section 7.3.4, RFC 7518)."""

    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"


class ExternalAccountSettings(Settings):
    """External account binding (EAB, RFC 8555 section 7.3.4)."""

    key_id: Text = Field(description="Key identifier from the CA.")
    hmac_key_file: SecretFile = Field(
        description="File with the CA's HMAC key (base64url), or credential:NAME.",
    )
    algorithm: Annotated[MacAlgorithm, *choice(MacAlgorithm)] = Field(
        default=MacAlgorithm.HS256, description="HMAC algorithm: HS256, HS384 or HS512."
    )


class AuthoritySettings(Settings):
    """An ACME CA.

    ``name`` is its key in ``authorities``; it is not written again.
    """

    unwritten: ClassVar[frozenset[str]] = frozenset({"name"})

    name: Text = Field(default="", description="The key.")
    directory_url: DirectoryURL = Field(
        default="",
        description="URL of the ACME directory (https), or a short "
        f"name: {', '.join(PUBLIC_CAS)}. Optional if the authority's name here is a short name.",
    )
    staging_directory_url: DirectoryURL | None = Field(
        default=None,
        description="Staging directory of the CA: for enroll --dry-run, and to retry a failed "
        "validation before production. Default: known for Let's Encrypt.",
    )
    contact: tuple[MailAddress, ...] = Field(
        default=(), description="Mail addresses for notices from the CA."
    )
    terms_of_service_agreed: Switch = Field(
        default=False,
        description="Whether you agree to the CA's terms of service; required to enrol.",
    )
    ca_bundle: AnyFile | None = Field(
        default=None,
        description="PEM file with the trusted roots for HTTPS connections to the CA. Default: the "
        "system's.",
    )
    client_certificate: AnyFile | None = Field(
        default=None,
        description="PEM file with the certificate, and its chain, that gatecert presents to a CA "
        "which demands one (mutual TLS). It is read again when it changes.",
    )
    client_key: SecretFile | None = Field(
        default=None, description="PEM file with the key of client_certificate, or credential:NAME."
    )
    trusted_roots: AnyFile | None = Field(
        default=None,
        description="PEM file with the roots that issued chains must end in; other chains are "
        "refused. Default: any root, with a note if this machine does not trust it.",
    )
    preferred_root: Text | None = Field(
        default=None,
        description="Common name of the root that the chain should end in, if the CA offers "
        "several chains. Default: the CA's default chain.",
    )
    profile: Profile | None = Field(
        default=None,
        description="ACME profile to request, such as shortlived; {preferred: shortlived} requests "
        "it only if the CA supports it. Default: the CA's default.",
    )
    external_account: ExternalAccountSettings | None = Field(
        default=None, description="External account binding (EAB), if the CA requires it."
    )
    account_key: Annotated[KeyType, *choice(KeyType)] = Field(
        default=KeyType.ECDSA_P256,
        description="Key type of a new account; if the CA refuses it and names the types that it "
        "accepts, one of those is used. An existing account keeps its key; gatecert account "
        "rollover replaces it by one of this type.",
    )
    subject_common_name: Switch = Field(
        default=False,
        description="Whether CSRs contain the first DNS name of at most 64 bytes as common name, "
        "for CAs that refuse an empty subject.",
    )
    most_orders: OrdersAtOnce = Field(
        default=20,
        description="Orders in progress at the same time, by one process or by all hosts of a "
        "fleet together; further ones wait for their turn. If the CA answers 429 or 503 with "
        "Retry-After, all of them pause.",
    )
    limits: LimitSettings = Field(
        default=LimitSettings(), description="Rate limits of the CA; `off` for none."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: object) -> object:
        """Derive the directory from a public CA's name; expand ``limits: off``."""
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        name = str(data.get("name", "")).lower()
        if data.get("directory_url") is None and name in {*PUBLIC_CAS, *DISCONTINUED}:
            filled["directory_url"] = name
        if isinstance(data.get("limits"), str) and data["limits"].strip().lower() in FALSE:
            filled["limits"] = dict.fromkeys(LimitSettings.model_fields, OFF)
        return filled
