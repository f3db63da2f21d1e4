"""Dynamic updates: messages sent, and errors for each answer."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeAlias

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.rfc2136_provider import Rfc2136Provider
from gatecert.challenge.dns01.zones import RecordLocation
from gatecert.config.schema import Dns01Settings
from gatecert.errors import ChallengeError, ProviderNotContactedError, RecordRefusedError
from gatecert.model import AddressRecords, Endpoint, RecordKind, TextRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fakes.nameserver import Handler, StartNameserver

SECRET = base64.b64encode(b"a secret that nobody may see").decode()
RECORD = TextRecord("_acme-challenge.vpn.example.com", "v a-l_ue", "example.com")
SERVER = Endpoint("ns1.example.com", 53)

Updates: TypeAlias = list[dns.update.UpdateMessage]


class At:
    """An address finder that gives every server these addresses."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._endpoints = endpoints

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        assert list(servers) == [SERVER]
        return tuple(Nameserver(SERVER.host, each) for each in self._endpoints)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n", "ascii")
    return path


def settings(secret_file: Path | None, algorithm: str = "hmac-sha256") -> Dns01Settings:
    fields: dict[str, object] = {"provider": "rfc2136", "server": str(SERVER), "ttl": "90s"}
    if secret_file is not None:
        fields["tsig"] = {
            "name": "gatecert",
            "algorithm": algorithm,
            "secret_file": str(secret_file),
        }
    return Dns01Settings.model_validate(fields)


def primary(
    updates: Updates | None = None,
    *,
    code: dns.rcode.Rcode = dns.rcode.NOERROR,
    tsig_error: int = 0,
    algorithm: str = "hmac-sha256",
) -> Handler:
    """Start a primary nameserver that knows the key and gives the chosen answer."""
    key = dns.tsig.Key("gatecert", SECRET, algorithm)

    def answer(wire: bytes, transport: str) -> bytes:
        assert transport == "tcp"
        update = dns.message.from_wire(wire, keyring={key.name: key})
        assert isinstance(update, dns.update.UpdateMessage)
        if updates is not None:
            updates.append(update)
        response = dns.message.make_response(update, tsig_error=tsig_error)
        response.set_rcode(code)
        return response.to_wire()

    return answer


def provider(
    configured: Dns01Settings, *endpoints: Endpoint, seconds: float = 2.0
) -> Rfc2136Provider:
    return Rfc2136Provider(configured, At(*endpoints), seconds=seconds)


@pytest.mark.enable_socket
@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha384", "hmac-sha512"])
def test_publishing_adds_exactly_one_record(
    nameserver: StartNameserver, secret_file: Path, algorithm: str
) -> None:
    updates: Updates = []
    server = nameserver(primary(updates, algorithm=algorithm))

    provider(settings(secret_file, algorithm), server).publish(RECORD)

    (update,) = updates
    (change,) = update.update
    assert update.opcode() == dns.opcode.UPDATE
    assert update.had_tsig
    assert update.zone[0].name.to_text() == "example.com."
    assert change.to_text() == '_acme-challenge.vpn.example.com. 90 IN TXT "v a-l_ue"'
    assert not update.prerequisite


@pytest.mark.enable_socket
def test_withdrawing_deletes_exactly_that_record(
    nameserver: StartNameserver, secret_file: Path
) -> None:
    updates: Updates = []

    provider(settings(secret_file), nameserver(primary(updates))).withdraw(RECORD)

    (change,) = updates[0].update
    # Class NONE: this record; class ANY would be every record of the name (RFC 2136 section 2.5).
    assert change.deleting == dns.rdataclass.NONE
    assert change.rdtype == dns.rdatatype.TXT
    assert [record.to_text() for record in change] == ['"v a-l_ue"']


@pytest.mark.enable_socket
def test_without_a_key_the_update_is_not_signed(nameserver: StartNameserver) -> None:
    updates: Updates = []

    provider(settings(None), nameserver(primary(updates))).publish(RECORD)

    assert not updates[0].had_tsig


@pytest.mark.enable_socket
def test_the_next_address_is_tried_if_one_does_not_answer(
    nameserver: StartNameserver, secret_file: Path
) -> None:
    updates: Updates = []
    hangs_up = nameserver(lambda _wire, _transport: None)

    provider(settings(secret_file), hangs_up, nameserver(primary(updates))).publish(RECORD)

    assert len(updates) == 1


@pytest.mark.enable_socket
def test_an_unreachable_server_is_an_error(nameserver: StartNameserver, secret_file: Path) -> None:
    hangs_up = nameserver(lambda _wire, _transport: None)
    closed = Endpoint("127.0.0.2", hangs_up.port)

    with pytest.raises(ChallengeError) as caught:
        provider(settings(secret_file), hangs_up, closed).publish(RECORD)

    assert not isinstance(caught.value, RecordRefusedError | ProviderNotContactedError)
    assert (
        caught.value.message == "the zone example.com cannot be updated: "
        f"ns1.example.com ({hangs_up}) closes the connection without an answer, "
        f"ns1.example.com ({closed}) cannot be reached (connection refused)"
    )
    assert "challenges.dns-01.server" in caught.value.fix


@pytest.mark.enable_socket
def test_without_any_connection_nothing_was_changed(secret_file: Path) -> None:
    with pytest.raises(ProviderNotContactedError, match="connection refused"):
        provider(settings(secret_file), Endpoint("127.0.0.1", 1)).publish(RECORD)


@pytest.mark.enable_socket
def test_a_silent_server_times_out(secret_file: Path) -> None:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(*silent.getsockname())
        with pytest.raises(ChallengeError, match="does not answer") as caught:
            provider(settings(secret_file), endpoint, seconds=0.1).publish(RECORD)

    assert not isinstance(caught.value, ProviderNotContactedError)


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("code", "said", "setting"),
    [
        (dns.rcode.REFUSED, "refuses to change", "update-policy { grant gatecert subdomain"),
        (dns.rcode.NOTAUTH, "is not the primary nameserver", "challenges.dns-01.server"),
        (dns.rcode.NOTZONE, "is not the primary nameserver", "challenges.dns-01.zone"),
        (dns.rcode.NOTIMP, "does not support dynamic updates", "challenges.dns-01.provider"),
        (dns.rcode.FORMERR, "does not support dynamic updates", "challenges.dns-01.server"),
    ],
)
def test_a_refusal_names_the_remedy(
    nameserver: StartNameserver,
    secret_file: Path,
    code: dns.rcode.Rcode,
    said: str,
    setting: str,
) -> None:
    with pytest.raises(RecordRefusedError) as caught:
        provider(settings(secret_file), nameserver(primary(code=code))).publish(RECORD)

    assert said in caught.value.message
    assert dns.rcode.to_text(code) in caught.value.message
    assert setting in caught.value.fix


@pytest.mark.enable_socket
def test_a_server_failure_is_not_a_refusal(nameserver: StartNameserver, secret_file: Path) -> None:
    failing = nameserver(primary(code=dns.rcode.SERVFAIL))

    with pytest.raises(ChallengeError, match="SERVFAIL") as caught:
        provider(settings(secret_file), failing).publish(RECORD)

    assert not isinstance(caught.value, RecordRefusedError)


@pytest.mark.enable_socket
def test_a_refusal_without_a_key_suggests_one(nameserver: StartNameserver) -> None:
    refusing = nameserver(primary(code=dns.rcode.REFUSED))

    with pytest.raises(RecordRefusedError) as caught:
        provider(settings(None), refusing).publish(RECORD)

    assert "challenges.dns-01.tsig" in caught.value.fix


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("tsig_error", "said", "setting"),
    [
        (dns.rcode.BADKEY, "does not know the TSIG key gatecert (hmac-sha256)", "tsig.algorithm"),
        (dns.rcode.BADSIG, "has another secret for the TSIG key gatecert", "tsig.secret_file"),
        (dns.rcode.BADTRUNC, "has another secret for the TSIG key gatecert", "tsig.secret_file"),
        (dns.rcode.BADTIME, "the clocks of", "NTP"),
    ],
)
def test_a_rejected_key_names_the_setting_and_no_secret(
    nameserver: StartNameserver, secret_file: Path, tsig_error: int, said: str, setting: str
) -> None:
    server = nameserver(primary(code=dns.rcode.NOTAUTH, tsig_error=tsig_error))

    with pytest.raises(RecordRefusedError) as caught:
        provider(settings(secret_file), server).publish(RECORD)

    assert said in caught.value.message
    assert setting in caught.value.fix
    assert SECRET not in repr(caught.value)


@pytest.mark.enable_socket
def test_an_unsigned_answer_is_not_trusted(nameserver: StartNameserver, secret_file: Path) -> None:
    def unsigned(wire: bytes, transport: str) -> bytes:
        del transport
        update = dns.message.from_wire(wire, keyring=False)
        update.request_mac = b""
        response = dns.update.UpdateMessage(id=update.id)
        response.flags = update.flags | dns.flags.QR
        return response.to_wire()

    with pytest.raises(ChallengeError, match="is not signed with the TSIG key gatecert") as caught:
        provider(settings(secret_file), nameserver(unsigned)).publish(RECORD)

    assert not isinstance(caught.value, RecordRefusedError)


@pytest.mark.enable_socket
def test_a_malformed_answer_is_not_trusted(nameserver: StartNameserver) -> None:
    rubbish = nameserver(lambda _wire, _transport: b"rubbish")

    with pytest.raises(ChallengeError, match="is not signed with a TSIG key"):
        provider(settings(None), rubbish).publish(RECORD)


@pytest.mark.parametrize(
    "content", ["not base64!", "c2VjcmV0\n c2VjcmV0 {", 'secret "c2Vj";', "c2VjcmV0é"]
)
def test_a_malformed_secret_is_an_error(secret_file: Path, content: str) -> None:
    secret_file.write_text(content, "utf-8")

    with pytest.raises(ChallengeError) as caught:
        provider(settings(secret_file)).publish(RECORD)

    assert "challenges.dns-01.tsig.secret_file" in caught.value.message
    assert content not in str(caught.value)
    assert caught.value.__cause__ is None


PLACE = RecordLocation("vpn.example.com", "example.com")


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("records", "sent"),
    [
        (
            AddressRecords(RecordKind.A, ("192.0.2.7", "192.0.2.8")),
            [
                "vpn.example.com. ANY A",
                "vpn.example.com. 90 IN A 192.0.2.7",
                "vpn.example.com. 90 IN A 192.0.2.8",
            ],
        ),
        (AddressRecords(RecordKind.AAAA, ()), ["vpn.example.com. ANY AAAA"]),
    ],
)
def test_address_records_are_replaced_as_a_whole(
    nameserver: StartNameserver, secret_file: Path, records: AddressRecords, sent: list[str]
) -> None:
    updates: Updates = []
    server = nameserver(primary(updates))

    provider(settings(secret_file), server).replace(PLACE, records)

    (update,) = updates
    assert [change.to_text().strip() for change in update.update] == sent


@pytest.mark.enable_socket
def test_a_refused_address_record_names_its_type_and_the_place_of_the_settings(
    nameserver: StartNameserver, secret_file: Path
) -> None:
    server = nameserver(primary(code=dns.rcode.REFUSED))
    changes = Rfc2136Provider(settings(secret_file), At(server), here="gateways.boston.ddns")

    with pytest.raises(RecordRefusedError, match="refuses to change") as caught:
        changes.replace(PLACE, AddressRecords(RecordKind.AAAA, ("2001:db8::7",)))

    assert "AAAA; }" in caught.value.fix


@pytest.mark.enable_socket
def test_errors_name_the_place_of_the_settings(
    nameserver: StartNameserver, secret_file: Path
) -> None:
    server = nameserver(primary(code=dns.rcode.NOTAUTH))
    changes = Rfc2136Provider(settings(secret_file), At(server), here="gateways.boston.ddns")
    with pytest.raises(RecordRefusedError) as caught:
        changes.replace(PLACE, AddressRecords(RecordKind.A, ("192.0.2.7",)))
    assert "gateways.boston.ddns.server" in caught.value.fix
