from __future__ import annotations

from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import dns.rrset
import pytest

from gatecert.errors import ResolutionError
from gatecert.model import Endpoint, RecordKind
from gatecert.resolve.seen_address import seen_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Handler = Callable[[dns.message.Message, str], Sequence[bytes]]
    StartNameserver = Callable[[Handler], Endpoint]

NAME = "myip.opendns.com"
A, AAAA = RecordKind.A, RecordKind.AAAA

pytestmark = pytest.mark.enable_socket


def answers(*data: str, kind: str = "A", code: int = dns.rcode.NOERROR) -> Handler:
    def handler(query: dns.message.Message, _: str) -> Sequence[bytes]:
        assert query.question[0].to_text() == f"{NAME}. IN {kind}"
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(code))
        if data:
            response.answer = [dns.rrset.from_text(f"{NAME}.", 0, "IN", kind, *data)]
        return [response.to_wire()]

    return handler


def test_an_address_record(nameserver: StartNameserver) -> None:
    server = nameserver(answers("192.0.2.7"))
    assert seen_address(NAME, server, A, text=False) == "192.0.2.7"


def test_a_text_record_of_several_parts_among_others(nameserver: StartNameserver) -> None:
    server = nameserver(
        answers('"edns0-client-subnet 192.0.2.0/24"', '"2001:db8" "::7"', kind="TXT")
    )
    assert seen_address(NAME, server, AAAA, text=True) == "2001:db8::7"


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (answers(code=dns.rcode.NXDOMAIN), "NXDOMAIN"),
        (answers(), "without an address"),
        (lambda *_: [], "timed out"),
    ],
)
def test_no_usable_answer_is_an_error(
    nameserver: StartNameserver,
    handler: Handler,
    told: str,
) -> None:
    server = nameserver(handler)
    with pytest.raises(ResolutionError, match=told):
        seen_address(NAME, server, A, text=False, seconds=0.3)


def test_an_address_of_the_other_family_does_not_count(nameserver: StartNameserver) -> None:
    server = nameserver(answers('"192.0.2.7"', kind="TXT"))
    with pytest.raises(ResolutionError, match="without an address"):
        seen_address(NAME, server, AAAA, text=True)
