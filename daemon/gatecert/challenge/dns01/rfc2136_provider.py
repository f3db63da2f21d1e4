"""Dynamic updates (RFC 2136), signed with a shared key (TSIG, RFC 8945), over TCP.

An update of a challenge adds or deletes exactly one TXT record. Its RRset is never replaced, so
values of other orders, hosts and clients remain. Address records are replaced as a whole (dynamic
DNS). In the protocol it is not an error to add an existing record or to delete a missing one, so
every update may be repeated.

The server is the primary. If its name has several addresses and one does not answer, the next is
tried.
"""

from __future__ import annotations

import binascii
import errno
from typing import TYPE_CHECKING, Final, Protocol

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from gatecert.challenge.dns01.secret import read_secret
from gatecert.errors import ChallengeError, ProviderNotContactedError, RecordRefusedError, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.challenge.dns01.nameservers import Nameserver
    from gatecert.challenge.dns01.zones import RecordLocation
    from gatecert.config.schema import DnsProviderSettings, TsigSettings
    from gatecert.model import AddressRecords, Endpoint, TextRecord

SECONDS: Final = 10.0  # for one update at one address
DNS_01: Final = "challenges.dns-01"

# The update was not sent.
_NOT_CONNECTED: Final = {
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}


class AddressFinder(Protocol):
    """Finds addresses of servers; implemented by ``zones.Zones``."""

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Return every address of servers given by name or by address."""
        ...


class Rfc2136Provider:
    """Changes zones by dynamic updates; see ``provider.Provider``.

    Args:
        settings: The server, the key and the time to live.
        zones: Finds the server's address if it is given by name.
        here: The place of the settings in the configuration, for messages.
        seconds: Time for one update at one address.
    """

    def __init__(
        self,
        settings: DnsProviderSettings,
        zones: AddressFinder,
        *,
        here: str = DNS_01,
        seconds: float = SECONDS,
    ) -> None:
        self._here = here
        self._settings = settings
        self._zones = zones
        self._seconds = seconds

    def publish(self, record: TextRecord) -> None:
        """Add a record."""
        update = self._update(record.zone)
        update.add(_name(record.name), self._time_to_live, dns.rdatatype.TXT, f'"{record.value}"')
        self._send(update, record)

    def withdraw(self, record: TextRecord) -> None:
        """Delete a record, and no other at its name."""
        update = self._update(record.zone)
        update.delete(_name(record.name), dns.rdatatype.TXT, f'"{record.value}"')
        self._send(update, record)

    def replace(self, place: RecordLocation, records: AddressRecords) -> None:
        """Replace all records of one type; see ``provider.AddressProvider``."""
        update = self._update(place.zone)
        name, kind = _name(place.name), dns.rdatatype.from_text(records.kind)
        if records.addresses:
            update.replace(name, self._time_to_live, kind, *records.addresses)
        else:
            update.delete(name, kind)
        self._send(update, place, kind=records.kind)

    @property
    def _time_to_live(self) -> int:
        return int(self._settings.ttl.total_seconds())

    def _update(self, zone: str) -> dns.update.UpdateMessage:
        update = dns.update.UpdateMessage(_name(zone))
        if self._settings.tsig is not None:
            update.use_tsig(_key(self._settings.tsig, f"{self._here}.tsig.secret_file"))
        return update

    def _send(
        self,
        update: dns.update.UpdateMessage,
        record: TextRecord | RecordLocation,
        *,
        kind: str = "TXT",
    ) -> None:
        """Send an update to the first address that answers.

        Raises:
            RecordRefusedError: It was refused.
            ProviderNotContactedError: No connection was made to any address.
            ChallengeError: No address answered.
        """
        silent: list[str] = []
        sent = False
        cause: Exception | None = None
        for server in self._servers():
            endpoint = server.endpoint
            try:
                answer = dns.query.tcp(
                    update, endpoint.host, timeout=self._seconds, port=endpoint.port
                )
            except (OSError, EOFError, dns.exception.Timeout) as error:
                silent.append(f"{server} {_silence(error)}")
                sent = sent or getattr(error, "errno", None) not in _NOT_CONNECTED
                cause = error
                continue
            except dns.exception.DNSException as error:
                raise self._untrusted(error, str(server)) from error
            if answer.rcode() != dns.rcode.NOERROR:
                raise self._refused(answer.rcode(), str(server), record, kind)
            return
        error_type = ChallengeError if sent else ProviderNotContactedError
        raise error_type(
            f"the zone {record.zone} cannot be updated: {', '.join(silent)}",
            fix=f"{self._here}.server must be the zone's primary nameserver, and reachable over "
            "TCP",
        ) from cause

    def _servers(self) -> tuple[Nameserver, ...]:
        server = self._settings.server
        return self._zones.addresses([server] if server is not None else [])

    def _untrusted(self, error: dns.exception.DNSException, server: str) -> ChallengeError:
        """Describe an answer with a wrong signature, or one that rejects the update's signature."""
        tsig = self._settings.tsig
        key = f"the TSIG key {tsig.name} ({tsig.algorithm})" if tsig else "a TSIG key"
        match error:
            case dns.tsig.PeerBadKey():
                return RecordRefusedError(
                    f"{server} does not know {key} (BADKEY)",
                    fix=f"{self._here}.tsig.name and {self._here}.tsig.algorithm must be those of "
                    "a key in the nameserver's configuration",
                )
            case dns.tsig.PeerBadSignature() | dns.tsig.PeerBadTruncation():
                return RecordRefusedError(
                    f"{server} has another secret for {key} (BADSIG)",
                    fix=f"{self._here}.tsig.secret_file must hold the secret that the nameserver "
                    "has",
                )
            case dns.tsig.PeerBadTime():
                return RecordRefusedError(
                    f"the clocks of {server} and this host differ too much for {key} (BADTIME)",
                    fix="synchronize both clocks (NTP)",
                )
            case _:
                return ChallengeError(
                    f"the answer of {server} to the update is not signed with {key}, so it cannot "
                    f"be trusted: {clean(str(error))}",
                    fix=f"{self._here}.server must be the nameserver that knows the key of "
                    f"{self._here}.tsig",
                )

    def _refused(
        self, code: dns.rcode.Rcode, server: str, record: TextRecord | RecordLocation, kind: str
    ) -> ChallengeError:
        """Describe an answer other than NOERROR (RFC 2136 section 2.2)."""
        zone = f"the zone {record.zone}"
        match code:
            case dns.rcode.REFUSED:
                tsig = self._settings.tsig
                return RecordRefusedError(
                    f"{server} refuses to change {record.name} in {zone} (REFUSED)",
                    fix=f"allow the key {tsig.name} to change {kind} records there, in BIND with "
                    f"update-policy {{ grant {tsig.name} subdomain {record.name}. {kind}; }}"
                    if tsig
                    else f"configure a key in {self._here}.tsig that may change {kind} records "
                    "there",
                )
            case dns.rcode.NOTAUTH | dns.rcode.NOTZONE:
                return RecordRefusedError(
                    f"{server} is not the primary nameserver of {zone} ({dns.rcode.to_text(code)})",
                    fix=f"correct {self._here}.server, or {self._here}.zone",
                )
            case dns.rcode.NOTIMP | dns.rcode.FORMERR:
                return RecordRefusedError(
                    f"{server} does not support dynamic updates ({dns.rcode.to_text(code)})",
                    fix=f"correct {self._here}.server, or use another {self._here}.provider",
                )
            case _:
                return ChallengeError(
                    f"{server} could not change {zone} ({dns.rcode.to_text(code)})",
                    fix="read the nameserver's log",
                )


def _key(tsig: TsigSettings, where: str) -> dns.tsig.Key:
    """Return the key; its secret is read each time.

    Raises:
        ChallengeError: The secret cannot be read, or is malformed.
    """
    secret = read_secret(tsig.secret_file, where)
    try:
        decoded = binascii.a2b_base64(secret, strict_mode=True)
    except ValueError:  # binascii.Error; a plain ValueError for non-ASCII text
        decoded = b""
    if not decoded:
        raise ProviderNotContactedError(
            f"the file of {where} does not contain a TSIG secret in base64",
            fix="write only the value of the key's secret into it",
        )
    return dns.tsig.Key(_name(tsig.name), decoded, dns.name.from_text(tsig.algorithm.value))


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def _silence(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "does not answer"
    if isinstance(error, EOFError):
        return "closes the connection without an answer"
    reason = getattr(error, "strerror", None) or str(error)
    return f"cannot be reached ({clean(reason.lower())})"
