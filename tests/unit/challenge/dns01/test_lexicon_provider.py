"""The real dns-lexicon with a PowerDNS API on loopback, and its errors."""

from __future__ import annotations

import builtins
import io
import json
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest
import requests
from lexicon._private import discovery
from lexicon._private.providers import duckdns, powerdns

from gatecert.challenge.dns01.lexicon_catalogue import option_names
from gatecert.challenge.dns01.lexicon_provider import (
    LexiconDnsProvider,
    full_name,
    replace_records,
    with_providers_zone,
)
from gatecert.config.schema import Dns01Settings
from gatecert.errors import ChallengeError, ProviderNotContactedError, RecordRefusedError
from gatecert.model import AddressRecords, RecordKind, TextRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "s3cret/token+x="  # noqa: S105 - of a server that is not there
NAME = "_acme-challenge.vpn.example.com"
ONE, TWO = (TextRecord(NAME, value, "example.com") for value in ("one", "two"))


class PowerDns:
    """The API of a PowerDNS server."""

    def __init__(self) -> None:
        self.status = 200
        self.delay = 0.0
        self.texts: list[str] = []
        self.times_to_live: set[int] = set()
        self.keys: set[str] = set()

    @property
    def zone(self) -> dict[str, Any]:
        records = [{"content": text, "disabled": False} for text in self.texts]
        rrset = {"name": f"{NAME}.", "type": "TXT", "ttl": 90, "records": records}
        return {"kind": "Native", "rrsets": [rrset] if records else []}

    def change(self, rrset: dict[str, Any]) -> None:
        assert (rrset["name"], rrset["type"]) == (f"{NAME}.", "TXT")
        self.times_to_live.add(rrset["ttl"])
        self.texts = [record["content"] for record in rrset["records"]]


class _Handler(BaseHTTPRequestHandler):
    state: ClassVar[PowerDns]

    def do_GET(self) -> None:
        self._answer(self.state.zone)

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.state.change(body["rrsets"][0])
        self._answer({})

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""

    def _answer(self, body: object) -> None:
        assert self.path == "/api/v1/servers/localhost/zones/example.com."
        self.state.keys.add(self.headers["X-API-Key"])
        time.sleep(self.state.delay)
        text = json.dumps(body).encode()
        self.send_response(self.state.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def state() -> PowerDns:
    return PowerDns()


@pytest.fixture
def url(state: PowerDns) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", "ascii")
    return path


def changes(
    token_file: Path, name: str = "powerdns", seconds: float = 5.0, **options: str
) -> LexiconDnsProvider:
    settings = Dns01Settings.model_validate(
        {
            "provider": name,
            "options": options,
            "credentials": {"auth_token": str(token_file)},
            "ttl": "90s",
        }
    )
    return LexiconDnsProvider(settings, seconds=seconds)


@pytest.mark.enable_socket
def test_values_are_added_and_removed_one_by_one(
    state: PowerDns, url: str, token_file: Path
) -> None:
    provider = changes(token_file, pdns_server=url)

    provider.publish(ONE)
    provider.publish(TWO)
    assert sorted(state.texts) == ['"one"', '"two"']

    provider.withdraw(ONE)
    assert state.texts == ['"two"']
    assert state.keys == {TOKEN}
    assert state.times_to_live == {90}


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not accept the credentials"),
        (403, "does not accept"),
        (422, "refuses to change"),
    ],
)
def test_a_refusal_names_the_credentials(
    state: PowerDns, url: str, token_file: Path, status: int, said: str
) -> None:
    state.status = status

    with pytest.raises(RecordRefusedError, match=f"powerdns {said}") as caught:
        changes(token_file, pdns_server=url).publish(ONE)

    assert "challenges.dns-01.credentials.auth_token" in caught.value.fix


@pytest.mark.enable_socket
def test_an_unavailable_service_is_not_a_refusal(
    state: PowerDns, url: str, token_file: Path
) -> None:
    state.status = 503

    for address in (url, "http://127.0.0.1:1"):
        with pytest.raises(ChallengeError, match="cannot be reached to change the zone") as caught:
            changes(token_file, pdns_server=address).publish(ONE)
        assert not isinstance(caught.value, RecordRefusedError)


@pytest.mark.enable_socket
def test_a_hanging_service_is_abandoned(state: PowerDns, url: str, token_file: Path) -> None:
    state.delay = 0.2

    with pytest.raises(ChallengeError, match=r"TimeoutError: no answer within 0\.05 s"):
        changes(token_file, pdns_server=url, seconds=0.05).publish(ONE)


def test_missing_options_list_those_of_the_provider(token_file: Path) -> None:
    with pytest.raises(ChallengeError, match="PowerDNS API endpoint not defined") as caught:
        changes(token_file).publish(ONE)

    assert "pdns_server" in caught.value.fix
    assert "auth_token" in caught.value.fix


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (requests.HTTPError(f"404 for url: https://x/?key={TOKEN}"), ChallengeError),
        (RuntimeError(f"https://x/?key={quote(TOKEN, safe='')}"), ChallengeError),
        (TimeoutError(TOKEN), ChallengeError),
    ],
)
def test_secrets_are_masked_in_errors_and_tracebacks(
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    kind: type[ChallengeError],
) -> None:
    def fail(*_arguments: object) -> bool:
        raise raised

    monkeypatch.setattr(powerdns.Provider, "authenticate", fail)

    with pytest.raises(kind) as caught:
        changes(token_file, pdns_server="http://127.0.0.1:1").publish(ONE)

    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value)
    assert "***" in shown
    assert TOKEN not in shown
    assert quote(TOKEN, safe="") not in shown


def test_a_provider_that_returns_false_is_a_refusal(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(powerdns.Provider, "authenticate", lambda *_arguments: None)
    monkeypatch.setattr(powerdns.Provider, "create_record", lambda *_arguments: False)

    with pytest.raises(RecordRefusedError, match="powerdns did not change"):
        changes(token_file, pdns_server="http://127.0.0.1:1").publish(ONE)


def test_an_authentication_error_of_the_library_names_the_credentials(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexicon.exceptions import AuthenticationError  # noqa: PLC0415

    def fail(*_arguments: object) -> None:
        raise AuthenticationError("No domain found")

    monkeypatch.setattr(powerdns.Provider, "authenticate", fail)

    with pytest.raises(RecordRefusedError, match="No domain found") as caught:
        changes(token_file, pdns_server="http://127.0.0.1:1").publish(ONE)

    assert "challenges.dns-01.zone" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("clouflare", "did you mean cloudflare?"),
        ("rfc2163", "did you mean rfc2136?"),
        ("qqqqqqqq", "one of rfc2136, exec, aliyun"),
        ("auto", "did you mean aurora?"),
    ],
)
def test_an_unknown_provider_suggests_the_nearest(token_file: Path, name: str, hint: str) -> None:
    with pytest.raises(ChallengeError, match=f"there is no DNS provider {name}") as caught:
        changes(token_file, name).publish(ONE)

    assert hint in caught.value.fix
    assert "challenges.dns-01.provider" in caught.value.message


def test_a_provider_may_need_further_packages(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChallengeError, match="needs further packages") as caught:
        changes(token_file, "route53").publish(ONE)
    assert "dns-lexicon[route53]" in caught.value.fix

    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(discovery, "load_provider_module", fail)
    with pytest.raises(ChallengeError, match="needs further packages"):
        changes(token_file).publish(ONE)


def test_a_missing_extra_is_named(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as it is
        if name.startswith("lexicon"):
            raise ImportError(name)
        return imported(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ChallengeError, match="needs dns-lexicon, which is not installed") as it:
        changes(token_file).publish(ONE)

    assert "gatecert[dns]" in it.value.fix


def test_every_provider_of_the_library_lists_its_options() -> None:
    known = discovery.find_providers()

    assert len(known) > 80
    assert option_names(powerdns.Provider) >= {"auth_token", "pdns_server"}


def test_unlisted_options_are_empty() -> None:
    class Demanding(powerdns.Provider):
        @staticmethod
        def configure_parser(parser: Any) -> None:  # noqa: ANN401 - as in the library
            parser.add_argument("--token", required=True)

    assert option_names(Demanding) == set()


# --------------------------------------------------------------------------- zones and credentials


@pytest.mark.parametrize(
    ("zone", "configured", "asked"),
    [
        ("duckdns.org", None, "myhome.duckdns.org"),
        ("duckdns.org", "other.duckdns.org", "other.duckdns.org"),
        ("myhome.duckdns.org", None, "myhome.duckdns.org"),
    ],
)
def test_the_zone_of_a_public_suffix_is_the_customers_domain(
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    configured: str | None,
    asked: str,
) -> None:
    domains: list[str] = []

    def create(provider: duckdns.Provider, *_arguments: str) -> bool:
        domains.append(provider.domain)
        return True

    monkeypatch.setattr(duckdns.Provider, "create_record", create)
    written = {
        "provider": "duckdns",
        "credentials": {"auth_token": str(token_file)},
        **({"zone": configured} if configured else {}),
    }
    provider = LexiconDnsProvider(Dns01Settings.model_validate(written))

    provider.publish(TextRecord("_acme-challenge.vpn.myhome.duckdns.org", "x", configured or zone))

    assert domains == [asked]


class Zone:
    """A provider of dns-lexicon with these records; relative names and other types included."""

    domain = "example.com"

    def __init__(self, *records: tuple[str, str, str]) -> None:
        self.records = {str(number): record for number, record in enumerate(records)}
        self.calls: list[str] = []

    def list_records(self, rtype: str, name: str) -> list[dict[str, Any]]:
        assert (rtype, name) == ("A", "vpn.example.com")
        return [
            {"id": key, "name": record[0], "type": record[1], "content": record[2]}
            for key, record in self.records.items()
        ]

    def update_record(self, identifier: str, rtype: str, name: str, content: str) -> bool:
        self.calls.append(f"update {identifier} {rtype} {name} {content}")
        return True

    def delete_record(self, identifier: str, rtype: str, name: str, content: str) -> bool:
        self.calls.append(f"delete {identifier} {rtype} {name} {content}")
        return True

    def create_record(self, rtype: str, name: str, content: str) -> bool:
        self.calls.append(f"create {rtype} {name} {content}")
        return True


VPN = "vpn.example.com"


@pytest.mark.parametrize(
    ("before", "wanted", "calls"),
    [
        ([], ["192.0.2.7"], [f"create A {VPN} 192.0.2.7"]),
        ([(VPN, "A", "192.0.2.7")], ["192.0.2.7"], []),
        ([("vpn", "A", "192.0.2.9")], ["192.0.2.7"], [f"update 0 A {VPN} 192.0.2.7"]),
        ([("VPN.example.com.", "A", "192.0.2.9")], [], [f"delete 0 A {VPN} 192.0.2.9"]),
        (
            [(VPN, "A", "192.0.2.9"), (VPN, "A", "192.0.2.7"), (VPN, "A", "192.0.2.8")],
            ["192.0.2.7"],
            [f"delete 0 A {VPN} 192.0.2.9", f"delete 2 A {VPN} 192.0.2.8"],
        ),
        (
            [
                ("other.example.com", "A", "192.0.2.9"),
                (VPN, "TXT", "text"),
                ("@", "A", "192.0.2.9"),
            ],
            ["192.0.2.7"],
            [f"create A {VPN} 192.0.2.7"],
        ),
    ],
)
def test_as_few_records_as_possible_are_changed(
    before: list[tuple[str, str, str]], wanted: list[str], calls: list[str]
) -> None:
    zone = Zone(*before)
    assert replace_records(zone, VPN, AddressRecords(RecordKind.A, tuple(wanted)))
    assert zone.calls == calls


@pytest.mark.parametrize(
    ("name", "domain", "full"),
    [
        ("@.boston.dedyn.io", "boston.dedyn.io", "boston.dedyn.io"),
        ("", "example.com", "example.com"),
        ("vpn", "example.com", VPN),
        ("myexample.com", "example.com", "myexample.com.example.com"),
    ],
)
def test_names_of_listed_records(name: str, domain: str, full: str) -> None:
    assert full_name(name, domain) == full


@pytest.mark.enable_socket
def test_duckdns_gets_the_domain_even_if_the_zone_is_configured(
    monkeypatch: pytest.MonkeyPatch, token_file: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def request(_method: str, _url: str, params: dict[str, Any]) -> requests.Response:
        asked.append(params)
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO(b"OK")
        return response

    monkeypatch.setattr(requests, "request", request)
    settings = Dns01Settings.model_validate(
        {
            "provider": "duckdns",
            "zone": "duckdns.org",
            "credentials": {"auth_token": str(token_file)},
        }
    )
    name = "_acme-challenge.boston.duckdns.org"
    LexiconDnsProvider(settings).publish(TextRecord(name, "value", "duckdns.org"))
    assert [(each["domains"], each["txt"]) for each in asked] == [("boston", "value")]


def test_the_zone_of_a_domain_is_unchanged() -> None:
    assert with_providers_zone(ONE) == ONE


@pytest.mark.parametrize(
    ("credential", "hint"),
    [("auth_tokn", "did you mean auth_token? powerdns has: "), ("qqqqq", "powerdns has: ")],
)
def test_an_unknown_credential_lists_those_of_the_provider(
    token_file: Path, credential: str, hint: str
) -> None:
    settings = Dns01Settings.model_validate(
        {"provider": "powerdns", "credentials": {credential: str(token_file)}}
    )

    with pytest.raises(ProviderNotContactedError, match="no such credential") as caught:
        LexiconDnsProvider(settings).publish(ONE)

    assert f"challenges.dns-01.credentials.{credential}" in caught.value.message
    assert caught.value.fix.startswith(hint)
    assert "auth_token, pdns_disable_notify" in caught.value.fix


@pytest.mark.enable_socket
def test_a_contacted_service_may_have_changed_the_zone(
    state: PowerDns, url: str, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> bool:
        raise requests.ConnectionError("no answer")

    def publish(address: str, seconds: float = 5.0) -> ChallengeError:
        with pytest.raises(ChallengeError) as caught:
            changes(token_file, pdns_server=address, seconds=seconds).publish(ONE)
        return caught.value

    assert isinstance(publish("http://127.0.0.1:1"), ProviderNotContactedError)
    monkeypatch.setattr(powerdns.Provider, "create_record", fail)
    assert not isinstance(publish(url), ProviderNotContactedError)
    state.delay = 0.2
    assert not isinstance(publish(url, seconds=0.05), ProviderNotContactedError)
