"""Gateways: their names, where the certificate comes from, and how it gets into service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.config.addresses import Address, Port, TlsServer
from gatecert.config.names import AnyName, GatewayHostName, Region, SafeName
from gatecert.config.paths import AnyFile, Command, Permissions, SecretFile
from gatecert.config.schema.base import Settings, choice, one_of
from gatecert.config.schema.challenge import ChallengeKind
from gatecert.config.values import (
    BadValueError,
    Duration,
    Fraction,
    KeptVersions,
    Switch,
    Text,
    quoted,
    text,
    text_schema,
)
from gatecert.model import FileContents, KeyType, Mode

_CHALLENGE_KINDS = [member.value for member in ChallengeKind]
UNWANTED_KEYS = {
    "ed25519": "no public authority issues for it; write ecdsa-p256",
    "rsa-1024": "it is too short; write rsa-2048, or better ecdsa-p256",
}
UNWANTED_CONTENTS = {
    "pfx": "write pkcs12, which is the same",
    "p12": "write pkcs12, which is the same",
    "pem": "say what it is to hold: fullchain, privkey, or combined for both in one file",
    "der": "say what it is to hold: cert-der or privkey-der",
    "key": "write privkey",
    "jks": "Java reads pkcs12 as well",
}


def challenge_kinds(value: object) -> tuple[ChallengeKind, ...]:
    """One kind, or a list in the order to try; ``auto`` is read as none at all."""
    if isinstance(value, str) and value.strip().lower() == "auto":
        return ()
    if not isinstance(value, str | list | tuple) or not value:
        raise BadValueError(
            f"is not a kind of challenge; write auto, one of {', '.join(_CHALLENGE_KINDS)}, or a "
            f"list of them"
        )
    kinds = [value] if isinstance(value, str) else value
    if "auto" in kinds:
        raise BadValueError("auto stands alone, not in a list: it already is every kind set up")
    return tuple(dict.fromkeys(one_of(ChallengeKind, kind) for kind in kinds))


ChallengeKinds = Annotated[
    tuple[ChallengeKind, ...],
    PlainValidator(challenge_kinds),
    PlainSerializer(lambda kinds: list(kinds) or "auto"),
    WithJsonSchema(
        {
            "title": "word, or list of words",
            "anyOf": [
                {"enum": ["auto", *_CHALLENGE_KINDS]},
                {"type": "array", "items": {"enum": _CHALLENGE_KINDS}, "minItems": 1},
            ],
        }
    ),
]


LONGEST_NAME_PART = 64  # ub-organization-name, ub-organizational-unit-name: RFC 5280 appendix A.1
LONGEST_PLACE = 128  # ub-locality-name, ub-state-name


def country(value: object) -> str:
    """The two letters of a country (ISO 3166), in upper case."""
    written = text(value).upper()
    if len(written) != 2 or not (written.isascii() and written.isalpha()):  # noqa: PLR2004 - so many letters
        raise BadValueError(f"{quoted(value)} is not the two letters of a country, such as US")
    return written


def name_part(value: object) -> str:
    """Text of an organisation or a part of one."""
    return _at_most(LONGEST_NAME_PART, value)


def place(value: object) -> str:
    """Text of a locality or a state."""
    return _at_most(LONGEST_PLACE, value)


def _at_most(longest: int, value: object) -> str:
    written = text(value)
    if len(written) > longest:
        raise BadValueError(f"{quoted(value)} is longer than {longest} characters")
    return written


Country = Annotated[
    str, PlainValidator(country), text_schema("two letters", pattern="^[A-Za-z]{2}$")
]
NamePart = Annotated[
    str, PlainValidator(name_part), text_schema("text", maxLength=LONGEST_NAME_PART)
]
Place = Annotated[str, PlainValidator(place), text_schema("text", maxLength=LONGEST_PLACE)]


class SubjectSettings(Settings):
    """What a certificate request says of its owner, beside the name (mode custom)."""

    organization: NamePart | None = Field(default=None, alias="O", description="Organisation.")
    organizational_unit: NamePart | None = Field(
        default=None, alias="OU", description="Part of the organisation."
    )
    locality: Place | None = Field(default=None, alias="L", description="City.")
    state: Place | None = Field(default=None, alias="ST", description="State or province.")
    country: Country | None = Field(default=None, alias="C", description="Country, two letters.")

    def attributes(self) -> dict[str, str]:
        """What was written, by the short names of X.500."""
        return self.model_dump(by_alias=True, exclude_none=True)


class KeySettings(Settings):
    """The key of a certificate."""

    type: Annotated[KeyType, *choice(KeyType, UNWANTED_KEYS)] = Field(
        default=KeyType.ECDSA_P256,
        description="ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096.",
    )
    reuse: Switch = Field(
        default=False,
        description="Whether a renewal keeps the key, for clients that pin it. Default: a new one.",
    )
    second: Annotated[KeyType, *choice(KeyType, UNWANTED_KEYS)] | None = Field(
        default=None,
        description="For a second certificate, where a server serves one for each of two kinds of "
        "key: rsa-… beside ecdsa-…, or the other way round. Its files are live/second-….pem. "
        "Default: none.",
    )


class CopySettings(Settings):
    """A file that some server insists on, beside the live directory."""

    path: AnyFile = Field(description="Where the file is written.")
    contents: Annotated[FileContents, *choice(FileContents, UNWANTED_CONTENTS)] = Field(
        description="privkey, cert, chain, fullchain, or combined (fullchain and then privkey), in "
        "PEM; privkey-der or cert-der; pkcs12 (privkey, cert and chain)."
    )
    owner: Text | None = Field(
        default=None, description="User that owns the file. Default: the one gatecert runs as."
    )
    group: Text | None = Field(default=None, description="Group of the file. Default: the owner's.")
    mode: Permissions = Field(default=0o600, description="Permission bits, in octal.")
    password_file: SecretFile | None = Field(
        default=None,
        description="File that holds the password of a pkcs12 file, or `credential:NAME`.",
    )


class InstallSettings(Settings):
    """How a certificate gets into service, and how that is proven."""

    reload: Command = Field(
        default=(),
        description="Command that makes the server read its files again, as a list of arguments; "
        "never run by a shell. Default: none, the server notices by itself.",
    )
    reload_timeout: Duration = Field(
        default=timedelta(seconds=30), description="After this the command is killed."
    )
    verify: tuple[TlsServer, ...] = Field(
        default=(),
        description="Every listener that must serve the certificate; port 443 if none is written. "
        "Every address of a host is asked. {address: host:port, starttls: smtp, proxy_protocol: 2, "
        "server_name: name} says how. Default: no proof.",
    )
    verify_command: Command = Field(
        default=(),
        description="Command that tells by exit status 0 that the certificate is served, where the "
        "server speaks no plain TLS. It is asked again and again, and watched later on, like the "
        "listeners. Default: none.",
    )
    verify_timeout: Duration = Field(
        default=timedelta(seconds=15), description="How long they may take until they serve it."
    )
    watch: Duration = Field(
        default=timedelta(minutes=5),
        description="How often they are asked whether they still serve it.",
    )
    copy_to: tuple[CopySettings, ...] = Field(
        default=(), description="Files that some servers insist on."
    )
    key_group: Text | None = Field(
        default=None,
        description="Group that may read the private key (then mode 0640). Default: nobody else.",
    )
    keep_versions: KeptVersions = Field(
        default=5, description="Certificates kept on disk, the live one included."
    )


class RenewalSettings(Settings):
    """When a certificate is renewed."""

    renewal_info: Switch = Field(
        default=True,
        description="Whether the authority is asked when to renew (ARI, RFC 9773).",
    )
    remaining: Fraction | None = Field(
        default=None,
        description="Part of the lifetime left at which to renew, where the authority does not "
        "say. Default: one third, one half where the lifetime is under ten days.",
    )
    revocation_lists: Switch = Field(
        default=True,
        description="Whether the revocation lists (CRLs) that the certificate names are looked at "
        "every few hours; one that was revoked is replaced at once.",
    )


class MemberSettings(Settings):
    """One host of a pair that shares a name."""

    common_name: GatewayHostName = Field(description="The name of this host alone.")


class ClientAuthenticationSettings(Settings):
    """Certificates demanded from users."""

    crl_files: tuple[AnyFile, ...] = Field(
        default=(), description="Revocation lists of the users' authorities, PEM."
    )
    known_users: AnyFile | None = Field(
        default=None,
        description="Directory of user certificates, to see who would be locked out by a change.",
    )


class ProfileSettings(Settings):
    """How the gateway stands in the users' clients (`gatecert profile`)."""

    display_name: Text | None = Field(
        default=None, description="What users choose it by. Default: the gateway's name here."
    )
    port: Port = Field(default=443, description="The port that clients connect to.")


class GatewaySettings(Settings):
    """A gateway.

    ``name`` is its key in ``gateways``; it is not written a second time.
    """

    unwritten: ClassVar[frozenset[str]] = frozenset({"name"})

    name: Text = Field(default="", description="The key.")
    hostname: GatewayHostName = Field(description="DNS name by which clients reach the gateway.")
    alternative_names: tuple[AnyName, ...] = Field(
        default=(), description="More DNS names or IP addresses for the certificate."
    )
    mode: Annotated[Mode, *choice(Mode)] = Field(
        default=Mode.AUTOMATIC,
        description="automatic (enrolled and renewed) or custom (you bring the certificate).",
    )
    region: Region | None = Field(
        default=None,
        description="Region of the gateway: global, or a country's two letters such as cn; "
        "excluded regions are never enrolled. Default: from the hostname.",
    )
    addresses: tuple[Address, ...] = Field(
        default=(),
        description="IP addresses the names must resolve to. Default: detected.",
    )
    challenge: ChallengeKinds = Field(
        default=(),
        description="Kind of challenge, a list in the order to try, or auto: every kind that is "
        "set up and fits.",
    )
    authorities: tuple[SafeName, ...] = Field(
        default=(),
        description="Authorities to try, in order. Default: all, in the order they are listed.",
    )
    key: KeySettings = Field(default=KeySettings(), description="The key of the certificate.")
    subject: SubjectSettings = Field(
        default=SubjectSettings(),
        description="What `gatecert csr` says of the owner: O, OU, L, ST and C (mode custom).",
    )
    install: InstallSettings = Field(
        default=InstallSettings(), description="How the certificate gets into service."
    )
    renewal: RenewalSettings = Field(
        default=RenewalSettings(), description="When the certificate is renewed."
    )
    members: dict[SafeName, MemberSettings] = Field(
        default_factory=dict, description="The hosts of a pair that shares the hostname."
    )
    member: SafeName | None = Field(default=None, description="Which of the members this host is.")
    client_authentication: ClientAuthenticationSettings | None = Field(
        default=None,
        description="Certificates demanded from users; write {} where nothing else is to be said. "
        "Default: none.",
    )
    profile: ProfileSettings = Field(
        default=ProfileSettings(), description="How the gateway stands in the users' clients."
    )
