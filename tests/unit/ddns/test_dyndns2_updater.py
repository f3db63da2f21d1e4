from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.fakes.dynamic_dns import PASSWORD, Service, read_password

from gatecert.config.update_services import (
    UPDATE_SERVICES,
    AddressParameters,
    UpdateServiceName,
)
from gatecert.ddns.dyndns2_updater import Dyndns2Updater, request_parameters
from gatecert.ddns.updater import RecordChange
from gatecert.errors import DdnsRefusedError, DdnsUnreachableError
from gatecert.http.fetcher import FailureKind, FetchError, is_fetchable
from gatecert.model import AddressRecords, RecordKind

NAME = "boston.ddns.net"
A = AddressRecords(RecordKind.A, ("192.0.2.7",))
AAAA = AddressRecords(RecordKind.AAAA, ("2001:db8::7",))
NO_AAAA = AddressRecords(RecordKind.AAAA, ())
ONE, BOTH = RecordChange(NAME, (A,)), RecordChange(NAME, (A, AAAA))


def updater(
    service: Service,
    name: UpdateServiceName | None = UpdateServiceName.NO_IP,
    *,
    url: str | None = None,
    username: str | None = "ops@example.com",
) -> Dyndns2Updater:
    return Dyndns2Updater(
        service,
        service=name,
        url=url,
        username=username,
        password_file=Path("/secret"),
        read_secret=read_password,
        here="gateways.boston.ddns",
    )


def test_an_update_is_one_request_with_basic_authentication() -> None:
    service = Service("good 192.0.2.7")

    assert updater(service).update(ONE)

    ((url, headers),) = service.asked
    assert url == f"https://dynupdate.no-ip.com/nic/update?hostname={NAME}&myip=192.0.2.7"
    pair = base64.b64encode(f"ops@example.com:{PASSWORD}".encode()).decode()
    assert headers == {"Authorization": f"Basic {pair}"}


def test_the_user_name_is_the_hostname_by_default() -> None:
    service = Service("good")
    updater(service, username=None).update(ONE)
    pair = service.asked[0][1]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(pair) == f"{NAME}:{PASSWORD}".encode()


def test_the_url_of_another_service_keeps_its_parameters() -> None:
    service = Service("nochg")
    assert not updater(service, None, url="https://ddns.example/update?system=dyndns").update(ONE)
    (url,) = service.urls
    assert url.startswith("https://ddns.example/update?system=dyndns&hostname=")


@pytest.mark.parametrize(
    ("parameters", "change", "sent"),
    [
        (AddressParameters.TOGETHER, BOTH, [{"myip": "192.0.2.7,2001:db8::7"}]),
        (AddressParameters.APART, BOTH, [{"myip": "192.0.2.7"}, {"myip": "2001:db8::7"}]),
        (AddressParameters.NAMED, BOTH, [{"myip": "192.0.2.7", "myipv6": "2001:db8::7"}]),
        (AddressParameters.NAMED, ONE, [{"myip": "192.0.2.7", "myipv6": "no"}]),
        (AddressParameters.DESEC, BOTH, [{"myipv4": "192.0.2.7", "myipv6": "2001:db8::7"}]),
        (AddressParameters.DESEC, ONE, [{"myipv4": "192.0.2.7", "myipv6": "preserve"}]),
        (
            AddressParameters.DESEC,
            RecordChange(NAME, (A, NO_AAAA)),
            [{"myipv4": "192.0.2.7", "myipv6": ""}],
        ),
    ],
)
def test_services_take_two_addresses_in_their_own_way(
    parameters: AddressParameters, change: RecordChange, sent: list[dict[str, str]]
) -> None:
    assert list(request_parameters(change, parameters)) == sent


def test_one_changed_record_of_two_is_a_change() -> None:
    service = Service("nochg", "good")
    assert updater(service, UpdateServiceName.HURRICANE_ELECTRIC).update(BOTH)


def test_every_service_has_an_https_url() -> None:
    assert set(UPDATE_SERVICES) == set(UpdateServiceName)
    assert all(is_fetchable(each.url, "https") for each in UPDATE_SERVICES.values())


@pytest.mark.parametrize("answer", [(401, "badauth"), (401, ""), "badauth"])
def test_a_wrong_password_is_a_refusal(answer: str | tuple[int, str]) -> None:
    with pytest.raises(DdnsRefusedError, match="does not accept the user name or the password"):
        updater(Service(answer)).update(ONE)


@pytest.mark.parametrize("status", [403, 404])
def test_a_known_service_may_say_by_its_status_that_there_is_no_host(status: int) -> None:
    with pytest.raises(DdnsRefusedError, match=rf"has no host .* \(HTTP status {status}\)"):
        updater(Service((status, "<html>"))).update(ONE)


@pytest.mark.parametrize(
    ("status", "told"),
    [(400, "with HTTP status 400"), (403, "does not accept the user"), (404, "with HTTP status 4")],
)
def test_another_status_is_a_refusal(status: int, told: str) -> None:
    with pytest.raises(DdnsRefusedError, match=told):
        updater(Service((status, "<html>")), None, url="https://x.example/").update(ONE)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_trouble_of_the_server_is_temporary(status: int) -> None:
    with pytest.raises(DdnsUnreachableError, match=f"HTTP status {status}"):
        updater(Service((status, "<html>"))).update(ONE)


def test_a_service_without_an_answer_is_unreachable_and_no_secret_is_shown() -> None:
    error = FetchError(FailureKind.TIMEOUT, "https://x/?password=s3cret", "no answer in time")

    with pytest.raises(DdnsUnreachableError, match="cannot be reached: no answer") as raised:
        updater(Service(error)).update(ONE)

    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None
