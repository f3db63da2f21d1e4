from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.dynamic_dns import PASSWORD, Service, read_password

from gatecert.ddns.duckdns_updater import DuckdnsUpdater
from gatecert.ddns.updater import RecordChange
from gatecert.errors import DdnsRefusedError
from gatecert.model import AddressRecords, RecordKind

A = AddressRecords(RecordKind.A, ("192.0.2.7",))
AAAA = AddressRecords(RecordKind.AAAA, ("2001:db8::7",))
NO_AAAA = AddressRecords(RecordKind.AAAA, ())
START = f"https://www.duckdns.org/update?domains=boston&token={PASSWORD}&verbose=true"


def update(service: Service, *records: AddressRecords, name: str = "boston.duckdns.org") -> bool:
    updater = DuckdnsUpdater(
        service,
        token_file=Path("/token"),
        read_secret=read_password,
        here="gateways.boston.ddns",
    )
    return updater.update(RecordChange(name, records))


def test_both_addresses_go_in_one_request() -> None:
    service = Service("OK\n192.0.2.7\n2001:db8::7\nUPDATED")
    assert update(service, A, AAAA)
    assert service.urls == [f"{START}&ip=192.0.2.7&ipv6=2001:db8::7"]


def test_a_name_below_the_domain_is_the_domain_s() -> None:
    service = Service("OK\n192.0.2.7\n\nNOCHANGE")
    assert not update(service, A, name="vpn.boston.duckdns.org")
    assert service.urls == [f"{START}&ip=192.0.2.7"]


def test_a_removal_clears_both_and_sets_the_other_again() -> None:
    service = Service("OK", "OK\n192.0.2.7\n\nUPDATED")
    assert update(service, A, NO_AAAA)
    assert service.urls == [f"{START}&clear=true", f"{START}&ip=192.0.2.7"]


@pytest.mark.parametrize(("answer", "told"), [("KO", "(KO)"), ((404, ""), "HTTP status 404")])
def test_a_refusal_names_the_token_s_key(answer: str | tuple[int, str], told: str) -> None:
    with pytest.raises(DdnsRefusedError) as raised:
        update(Service(answer), A)

    assert told in raised.value.message
    assert "gateways.boston.ddns.credentials.auth_token" in raised.value.fix
    assert PASSWORD not in str(raised.value)
