"""Settings of the gateways: names, source of the certificate, deployment."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.config.addresses import Address, Port
from gatecert.config.names import AnyName, GatewayHostName, Region, SafeName
from gatecert.config.paths import AnyFile
from gatecert.config.schema.base import Settings, choice, one_of
from gatecert.config.schema.challenge import ChallengeKind
from gatecert.config.schema.ddns import DdnsSettings
from gatecert.config.schema.install_settings import InstallSettings, SharedInstallSettings
from gatecert.config.values import (
    BadValueError,
    Fraction,
    Switch,
    Text,
    quoted,
    text,
    text_schema,
)
from gatecert.model import KeyType, Mode

_CHALLENGE_KINDS = [member.value for member in ChallengeKind]
REFUSED_KEYS = {
    "ed25519": "no public CA issues for it; write ecdsa-p256",
    "rsa-1024": "the key is too short; write rsa-2048, or better ecdsa-p256",
}


def challenge_kinds(value: object) -> tuple[ChallengeKind, ...]:
    """Parse one challenge type, or a list in the order to try; ``auto`` is an empty list."""
    if isinstance(value, str) and value.strip().lower() == "auto":
        return ()
    if not isinstance(value, str | list | tuple) or not value:
        raise BadValueError(
            f"is not a challenge type; write auto, one of {', '.join(_CHALLENGE_KINDS)}, or a "
            f"list of them"
        )
    kinds = [value] if isinstance(value, str) else value
    if "auto" in kinds:
        raise BadValueError("auto cannot be in a list: it already means every configured type")
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
    """Parse a two-letter country code (ISO 3166), in upper case."""
    written = text(value).upper()
    if len(written) != 2 or not (written.isascii() and written.isalpha()):  # noqa: PLR2004 - see the docstring
        raise BadValueError(f"{quoted(value)} is not a two-letter country code such as US")
    return written


def name_part(value: object) -> str:
    """Parse the name of an organisation or an organisational unit."""
    return _at_most(LONGEST_NAME_PART, value)


def place(value: object) -> str:
    """Parse the name of a locality or a state."""
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
    """Subject attributes of a CSR (mode custom)."""

    organization: NamePart | None = Field(default=None, alias="O", description="Organisation.")
    organizational_unit: NamePart | None = Field(
        default=None, alias="OU", description="Organisational unit."
    )
    locality: Place | None = Field(default=None, alias="L", description="City.")
    state: Place | None = Field(default=None, alias="ST", description="State or province.")
    country: Country | None = Field(
        default=None, alias="C", description="Country code, two letters."
    )

    def attributes(self) -> dict[str, str]:
        """Return the attributes set, by their X.500 short names."""
        return self.model_dump(by_alias=True, exclude_none=True)


class KeySettings(Settings):
    """The key of a certificate."""

    type: Annotated[KeyType, *choice(KeyType, REFUSED_KEYS)] = Field(
        default=KeyType.ECDSA_P256,
        description="ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096.",
    )
    reuse: Switch = Field(
        default=False,
        description="Whether renewals reuse the key, for clients that pin it. Default: a new key.",
    )
    second: Annotated[KeyType, *choice(KeyType, REFUSED_KEYS)] | None = Field(
        default=None,
        description="Key type of a second certificate, for servers that serve one certificate for "
        "each key algorithm: rsa-… with ecdsa-…, or vice versa. Its files are live/second-….pem. "
        "Default: none.",
    )


class RenewalSettings(Settings):
    """Renewal of a certificate."""

    renewal_info: Switch = Field(
        default=True,
        description="Whether to use the CA's renewal information (ARI, RFC 9773).",
    )
    remaining: Fraction | None = Field(
        default=None,
        description="Fraction of the lifetime left at which to renew, if the CA provides no "
        "renewal information. Default: one third, or one half if the lifetime is under ten days.",
    )
    revocation_lists: Switch = Field(
        default=True,
        description="Whether to check the CRLs that the certificate names, every few hours; a "
        "revoked certificate is replaced at once.",
    )


class MemberSettings(Settings):
    """One host of a pair that shares a hostname."""

    common_name: GatewayHostName = Field(description="The host's own name.")


class ClientAuthenticationSettings(Settings):
    """Client-certificate authentication."""

    crl_files: tuple[AnyFile, ...] = Field(default=(), description="CRLs of the client CAs, PEM.")
    known_users: AnyFile | None = Field(
        default=None,
        description="Directory of user certificates, to warn whom a change would lock out.",
    )


class SharedProfileSettings(Settings):
    """The entry in VPN client profiles, as far as gateways may share it."""

    port: Port = Field(default=443, description="The port that clients connect to.")


class ProfileSettings(SharedProfileSettings):
    """The gateway's entry in VPN client profiles (`gatecert profile`)."""

    display_name: Text | None = Field(
        default=None, description="Name shown to users. Default: the gateway's name here."
    )


class GatewayNames(Settings):
    """The names of a gateway.

    ``name`` is its key in ``gateways``; it is not written again.
    """

    unwritten: ClassVar[frozenset[str]] = frozenset({"name"})

    name: Text = Field(default="", description="The key.")
    hostname: GatewayHostName = Field(description="DNS name that clients connect to.")
    alternative_names: tuple[AnyName, ...] = Field(
        default=(), description="Further DNS names or IP addresses in the certificate."
    )


class SharedGatewaySettings(Settings):
    """The settings that all gateways share unless they say otherwise."""

    mode: Annotated[Mode, *choice(Mode)] = Field(
        default=Mode.AUTOMATIC,
        description="automatic (enrolled and renewed) or custom (you import the certificate).",
    )
    region: Region | None = Field(
        default=None,
        description="Region of the gateway: global, or a country code (ISO 3166) such as cn; "
        "gateways in excluded regions are never enrolled. Default: derived from the hostname.",
    )
    addresses: tuple[Address, ...] = Field(
        default=(),
        description="IP addresses that the names must resolve to. Default: detected.",
    )
    resolution: Switch = Field(
        default=True,
        description="Whether the names are looked up, and an order waits until they point here. "
        "`off` only where the CA does not connect to this host: with dns-01, or with a CA that "
        "takes the names as validated, such as a relay.",
    )
    challenge: ChallengeKinds = Field(
        default=(),
        description="Challenge type, a list in the order to try, or auto: every configured type "
        "that can validate the name.",
    )
    authorities: tuple[SafeName, ...] = Field(
        default=(),
        description="Authorities to try, in order. Default: all, in the order of the file.",
    )
    key: KeySettings = Field(default=KeySettings(), description="The key of the certificate.")
    subject: SubjectSettings = Field(
        default=SubjectSettings(),
        description="Subject attributes of CSRs: O, OU, L, ST and C (mode custom).",
    )
    install: SharedInstallSettings = Field(
        default=SharedInstallSettings(), description="Deployment of the certificate."
    )
    renewal: RenewalSettings = Field(
        default=RenewalSettings(), description="Renewal of the certificate."
    )
    member: SafeName | None = Field(default=None, description="The member that this host is.")
    client_authentication: ClientAuthenticationSettings | None = Field(
        default=None,
        description="Client-certificate authentication; write {} to enable it without further "
        "settings. Default: disabled.",
    )
    profile: SharedProfileSettings = Field(
        default=SharedProfileSettings(), description="Entry in VPN client profiles."
    )
    ddns: DdnsSettings | None = Field(
        default=None,
        description="Dynamic DNS: keeps the A and AAAA records of the hostname at the gateway's "
        "addresses. Default: disabled.",
    )


class GatewaySettings(SharedGatewaySettings, GatewayNames):
    """A gateway."""

    install: InstallSettings = Field(
        default=InstallSettings(), description="Deployment of the certificate."
    )
    members: dict[SafeName, MemberSettings] = Field(
        default_factory=dict, description="Hosts of a pair that shares the hostname."
    )
    profile: ProfileSettings = Field(
        default=ProfileSettings(), description="Entry in VPN client profiles."
    )
