"""``fleet``: hosts that share names, and limits, by a PostgreSQL database."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from gatecert.config.addresses import DatabaseServer
from gatecert.config.names import SafeName, ZoneName
from gatecert.config.paths import AnyFile, SecretFile
from gatecert.config.schema.base import Settings
from gatecert.config.values import BadValueError, Text, quoted, whole_number

LAST_RING: Final = 100


def ring_number(value: object) -> int:
    """Parse the number of a ring."""
    number = whole_number(value)
    if not 1 <= number <= LAST_RING:
        raise BadValueError(f"{quoted(value)} is not a ring; write 1 (the first) to {LAST_RING}")
    return number


def reserved_orders(value: object) -> int:
    """Parse the number of orders that are booked beforehand."""
    number = whole_number(value)
    if number > 1:
        raise BadValueError(f"{quoted(value)} orders cannot be reserved; write 0 or 1")
    return number


Ring = Annotated[
    int,
    PlainValidator(ring_number),
    WithJsonSchema({"type": "integer", "title": "number", "minimum": 1, "maximum": LAST_RING}),
]
Reserve = Annotated[
    int,
    PlainValidator(reserved_orders),
    WithJsonSchema({"type": "integer", "title": "number", "minimum": 0, "maximum": 1}),
]


class DatabaseSettings(Settings):
    """The PostgreSQL database of the fleet, and the login of this host."""

    hosts: tuple[DatabaseServer, ...] = Field(
        description="Servers, tried in this order; the one that can be written to is used. "
        "Port: 5432 by default."
    )
    name: Text = Field(default="gatecert", description="Name of the database.")
    user: Text | None = Field(
        default=None,
        description="Role of this host. Default: the common name of the certificate.",
    )
    certificate: AnyFile = Field(
        description="PEM file with the client certificate by which this host logs in."
    )
    key: SecretFile = Field(
        description="PEM file with the key of the certificate, or `credential:NAME`."
    )
    ca_bundle: AnyFile = Field(
        description="PEM file with the roots that the servers' certificates must end in."
    )


class IssueSettings(Settings):
    """Orders for gateways in the field, whose CSRs a relay puts into the database."""

    domains: tuple[ZoneName, ...] = Field(
        description="Names below these domains are ordered by dns-01, and no others."
    )
    authority: Text | None = Field(
        default=None, description="The CA, a key of authorities. Default: the first one."
    )


class FleetSettings(Settings):
    """A fleet: hosts that share names in a cluster, and limits with other clusters."""

    database: DatabaseSettings = Field(description="The database that all hosts share.")
    cluster: SafeName = Field(
        description="Name of the cluster: the hosts that share the gateways of this configuration."
    )
    host: SafeName = Field(description="Name of this host in its cluster.")
    ring: Ring = Field(
        default=1,
        description="Number of this host's ring in a roll-out: hosts of ring 1 install a new "
        "certificate first, those of a later ring when it is proven there, or after 24 hours.",
    )
    sealing_keys: tuple[SecretFile, ...] = Field(
        description="Files with Fernet keys, or `credential:NAME`. Private keys are sealed with "
        "the first one before they leave the host; each of them opens."
    )
    issue: IssueSettings | None = Field(
        default=None,
        description="Orders for gateways in the field, behind a relay. Default: none.",
    )
    reserve: Reserve = Field(
        default=1,
        description="Orders of each gateway that are reserved for the time without the database: "
        "0 or 1. One host of the cluster may place it, after 24 hours and with under a tenth of "
        "the lifetime left.",
    )
