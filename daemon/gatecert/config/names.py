"""Syntax of host names, regions and chosen names.

Internationalised names are accepted and stored as A-labels, after the UTS 46 mapping, which also
lower-cases (RFC 5890, RFC 5891, UTS 46 section 4). Limits: 63 octets a label, 253 a name (RFC 1035
section 2.3.4); letters, digits and hyphens (RFC 1123 section 2.1).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import PlainValidator

from gatecert.config.addresses import address
from gatecert.config.regions import DOTS
from gatecert.config.values import AsText, BadValueError, quoted, text, text_schema
from gatecert.model import Identifier, IdentifierType

LONGEST_NAME: Final = 253
GLOBAL: Final = "global"
SAFE_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
PRIVATE_ZONES: Final = frozenset(
    {
        *("local", "localhost", "localdomain", "internal", "intranet", "private", "lan"),
        *("home", "corp", "home.arpa", "in-addr.arpa", "ip6.arpa", "invalid", "onion", "alt"),
    }
)
"""Zones in which no public CA issues: RFC 6761, 6762, 7686, 8375, 9476, ICANN's name collisions.

``test`` and ``example`` are not in it: private CAs are tested with them.
"""


def host_name(value: object) -> str:
    """Parse a DNS name into lower-case A-labels without a trailing dot; ``*.`` may precede it."""
    written = text(value)
    wildcard, name = ("*.", written[2:]) if written.startswith("*.") else ("", written)
    name = _a_labels(name.rstrip(".") if not name.endswith("..") else name, written)
    for label in name.split("."):
        if not _LABEL.fullmatch(label):
            raise BadValueError(_complaint(label, written))
    if len(wildcard + name) > LONGEST_NAME:
        raise BadValueError(f"{quoted(written)} is longer than {LONGEST_NAME} characters")
    if name.rpartition(".")[2].isdigit():
        raise BadValueError(f"{quoted(written)} is neither a host name nor an IP address")
    return wildcard + name


def zone_name(value: object) -> str:
    """Parse a DNS zone into lower-case A-labels without a trailing dot; allows underscores."""
    name = _domain_name(value, "letters, digits, hyphens and underscores")
    if name.rpartition(".")[2].isdigit():
        raise BadValueError(f"{quoted(value)} is not the name of a zone")
    return name


def key_name(value: object) -> str:
    """Parse the name of a TSIG key, written like a zone; allows slashes as well."""
    return _domain_name(value, "letters, digits, hyphens, underscores and slashes", more="/")


def _domain_name(value: object, allowed: str, *, more: str = "") -> str:
    """Parse a DNS name that need not be a host name (RFC 2181 section 11).

    Args:
        value: The value as written.
        allowed: The characters of a label, in words.
        more: Characters allowed in addition to letters, digits, hyphens and underscores.
    """
    written = text(value)
    name = written.removesuffix(".")
    labels = [_a_labels(label, written) if label else "" for label in DOTS.split(name)]
    for label in labels:
        if not re.fullmatch(rf"[a-z0-9_{more}-]{{1,63}}", label):
            raise BadValueError(
                f"{quoted(label)} in {quoted(written)} is not a valid label: 1 to 63 {allowed}"
            )
    name = ".".join(labels)
    if len(name) > LONGEST_NAME:
        raise BadValueError(f"{quoted(written)} is longer than {LONGEST_NAME} characters")
    return name


def _a_labels(name: str, written: str) -> str:
    """Convert a name to lower-case ASCII."""
    if name.isascii() and "xn--" not in name.lower():
        return name.lower()
    import idna  # noqa: PLC0415 - large tables, rarely needed

    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except idna.IDNAError as error:
        raise BadValueError(
            f"{quoted(written)} is not a valid international name: {error}"
        ) from error


def _complaint(label: str, written: str) -> str:
    """Describe what is wrong with a label."""
    if not label:
        return f"{quoted(written)} has an empty label (two dots in a row, or a leading dot)"
    if "*" in label:
        return f"{quoted(written)}: a wildcard must be the whole first label, as in *.example.com"
    if "/" in label or ":" in label:
        return f"{quoted(written)} is not a host name; leave out scheme, port and path"
    if len(label) > 63:  # noqa: PLR2004 - RFC 1035 section 2.3.4
        return f"{quoted(written)} has a label longer than 63 characters"
    return (
        f"{quoted(label)} in {quoted(written)} is not a valid host name label: letters, digits and "
        f"hyphens, with no hyphen at either end"
    )


def gateway_host_name(value: object) -> str:
    """Parse the hostname of a gateway: a DNS name; addresses are alternative names."""
    if _as_address(value) is not None:
        raise BadValueError(
            f"{quoted(value)} is an IP address; write a DNS name here. IP addresses go into "
            f"alternative_names, if the CA issues for them (often with a profile only)"
        )
    return host_name(value)


def identifier(value: object) -> Identifier:
    """Parse a DNS name or a unicast IP address."""
    if isinstance(value, Identifier):
        return value
    written = _as_address(value)
    if written is None:
        return Identifier(IdentifierType.DNS, host_name(value))
    if "%" in written:
        raise BadValueError(
            f"{quoted(value)} has a scope, which certificates do not contain; write "
            f"{written.partition('%')[0]}"
        )
    return Identifier(IdentifierType.IP, address(written))


def _as_address(value: object) -> str | None:
    """Return the canonical text of an address; None for anything else."""
    try:
        return str(ipaddress.ip_address(str(value).strip().removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def display_form(name: str) -> str:
    """Return a host name with U-labels, and A-labels if different: ``münchen.example (xn--…)``."""
    if "xn--" not in name:
        return name
    import idna  # noqa: PLC0415 - as above

    wildcard, bare = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    return f"{wildcard}{idna.decode(bare)} ({name})"


def private_zone(name: str) -> str:
    """Return the private zone of a name, empty for public names.

    A single label is its own zone.
    """
    labels = name.removeprefix("*.").split(".")
    if len(labels) == 1:
        return labels[0]
    suffixes = (".".join(labels[start:]) for start in range(len(labels)))
    return next((suffix for suffix in suffixes if suffix in PRIVATE_ZONES), "")


PRIVATE_NETWORKS: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
            *("127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"),  # RFC 6890
            *("::1/128", "fe80::/10", "fc00::/7"),  # RFC 4291, RFC 4193
        ),
    )
)


def private_reason(name: Identifier) -> str:
    """Return why a name is not public, as a predicate; empty for public names."""
    if name.type is IdentifierType.IP:
        address = ipaddress.ip_address(name.value)
        return "is a private address" if any(address in each for each in PRIVATE_NETWORKS) else ""
    zone = private_zone(name.value)
    if not zone:
        return ""
    return "has no domain" if zone == name.value else f"is in the private zone {zone}"


def safe_name(value: object) -> str:
    """Parse the name of a gateway, authority or member, usable as a directory name."""
    written = text(value)
    if not re.fullmatch(SAFE_NAME, written) or ".." in written:
        raise BadValueError(
            f"{quoted(written)} is not a valid name; use up to 63 letters, digits, dots, hyphens "
            f"and underscores, a letter or digit first, and no two dots in a row"
        )
    return written


def country(value: object) -> str:
    """Parse a country code (ISO 3166-1), in lower case; ``uk`` is read as ``gb``."""
    return _country(value, "a two-letter country code")


def region(value: object) -> str:
    """Parse ``global`` or a country code."""
    if text(value).lower() == GLOBAL:
        return GLOBAL
    return _country(value, f"{GLOBAL} or a two-letter country code")


def _country(value: object, wanted: str) -> str:
    written = text(value).lower()
    if not re.fullmatch(r"[a-z]{2}", written):
        raise BadValueError(
            f"{quoted(value)} is not a region; write {wanted} (ISO 3166), such as cn for China"
        )
    return "gb" if written == "uk" else written


ZoneName = Annotated[str, PlainValidator(zone_name), text_schema("DNS name")]
KeyName = Annotated[str, PlainValidator(key_name), text_schema("DNS name")]
GatewayHostName = Annotated[str, PlainValidator(gateway_host_name), text_schema("DNS name")]
AnyName = Annotated[
    Identifier, PlainValidator(identifier), AsText, text_schema("DNS name or IP address")
]
SafeName = Annotated[
    str,
    PlainValidator(safe_name),
    text_schema("name", pattern=f"^(?!.*\\.\\.){SAFE_NAME}$"),
]
Country = Annotated[str, PlainValidator(country), text_schema("country", pattern="^[A-Za-z]{2}$")]
Region = Annotated[
    str,
    PlainValidator(region),
    text_schema("region", pattern="^([A-Za-z]{2}|[Gg][Ll][Oo][Bb][Aa][Ll])$"),
]
