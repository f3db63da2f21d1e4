"""Any configuration is loaded, or refused with every problem and its line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from tests.fuzz.command import gatecert
from tests.fuzz.material import Json, altered, as_text, spoilt, texts
from tests.fuzz.promise import promised, refused_properly
from tests.fuzz.source import binary, just, lists, mapped, one_of

from gatecert.config import addresses, names, paths, values
from gatecert.config.advice import advice
from gatecert.config.include import read
from gatecert.config.load import load
from gatecert.config.targets import targets
from gatecert.config.values import BadValueError
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL: Final[dict[str, Any]] = {
    "state_directory": "state",
    "include": ["config.d/*.yaml", "secret.d/none*"],
    "defaults": {
        "key": {"type": "ecdsa-p384"},
        "authorities": ["private"],
        "install": {"reload": ["/bin/true"], "verify_timeout": "15s", "key_group": "root"},
        "renewal": {"remaining": "33%"},
        "profile": {"port": 8443},
    },
    "excluded_regions": ["cn"],
    "authorities": {
        "letsencrypt": {
            "directory_url": "https://acme-v02.api.letsencrypt.org/directory",
            "contact": ["ops@example.com"],
            "terms_of_service_agreed": True,
            "profile": "shortlived",
        },
        "private": {
            "directory_url": "https://ca.example.com/acme/directory",
            "ca_bundle": "roots.pem",
            "client_certificate": "roots.pem",
            "client_key": "secret",
            "trusted_roots": "roots.pem",
            "terms_of_service_agreed": True,
            "external_account": {
                "key_id": "kid-1",
                "hmac_key_file": "secret",
                "algorithm": "HS256",
            },
        },
    },
    "resolver": {"nameservers": ["127.0.0.53", "[2001:db8::53]:53"], "interval": "30s"},
    "challenges": {
        "http-01": {"listen": ["[::]:80", "0.0.0.0:80"]},
        "tls-alpn-01": {"listen": ["[::]:443"]},
        "dns-01": {
            "provider": "rfc2136",
            "server": "192.0.2.53:53",
            "tsig": {"name": "gatecert", "algorithm": "hmac-sha256", "secret_file": "secret"},
            "zone": "example.com",
            "ttl": "1m",
            "propagation_timeout": "2m",
            "propagation_interval": "2s",
            "authoritative": ["ns1.example.com:53"],
        },
        "dns-persist-01": {"authoritative": ["ns1.example.com:53"]},
    },
    "fleet": {
        "database": {
            "hosts": ["db1.example.com", "[2001:db8::7]:6432"],
            "name": "gatecert",
            "user": "gw-a",
            "certificate": "roots.pem",
            "key": "secret",
            "ca_bundle": "roots.pem",
        },
        "cluster": "hq",
        "host": "gw-a",
        "ring": 2,
        "sealing_keys": ["secret", "credential:seal"],
        "reserve": 0,
    },
    "gateways": {
        "boston": {
            "hostname": "bücher.example.com",
            "alternative_names": ["*.example.com", "203.0.113.7", "2001:db8::1"],
            "mode": "automatic",
            "region": "global",
            "addresses": ["203.0.113.7", "2001:db8::7"],
            "challenge": ["http-01", "dns-01"],
            "authorities": ["letsencrypt"],
            "key": {"type": "ecdsa-p256", "reuse": False},
            "install": {
                "reload": ["systemctl", "reload", "ocserv"],
                "reload_timeout": "30s",
                "verify": ["127.0.0.1:443"],
                "verify_command": ["/bin/true"],
                "watch": "5m",
                "copy_to": [{"path": "/etc/x.pem", "contents": "combined", "mode": "0640"}],
                "keep_versions": 5,
            },
            "renewal": {"renewal_info": True, "remaining": "1/3"},
        },
        "hq": {
            "hostname": "vpn.company.com",
            "mode": "custom",
            "members": {
                "primary": {"common_name": "primaryvpn.company.com"},
                "spare": {"common_name": "secondaryvpn.company.com"},
            },
            "member": "primary",
            "subject": {"O": "Example Company", "C": "US"},
            "client_authentication": {"crl_files": [], "known_users": "users"},
            "profile": {"display_name": "Example Company, Boston", "port": 443},
            "ddns": {
                "provider": "dyndns2",
                "service": "noip",
                "username": "ops@example.com",
                "password_file": "secret",
                "source": {"dns": {"name": "me.example.com", "server": "ns1", "type": "TXT"}},
                "records": ["A", "AAAA"],
                "remove_stale": False,
                "interval": "5m",
            },
        },
    },
}
KEYS: Final = tuple(key for key in FULL if key != "include")
WORDS: Final = (
    b"include: [config.d/*]\n", b"defaults: {key: null}\n",
    b"&a", b"*a", b"<<: *a", b"!!python/object/apply:os.system [id]", b"!!binary", b"- ", b": ",
    b"{", b"[", b"}", b"? ", b"|\n", b">-\n", b"%YAML 1.1\n", b"---\n", b"...", b"\t", b"\x00",
    b"\xff\xfe", b"\xed\xa0\x80", b"\x85", b"\xe2\x80\xa8", b"'", b'"\\x00"', b"0o17", b"1e999",
    b".nan", b"2001-01-01", b"0x" + b"f" * 2000, b"y", b"~", b"=",
)  # fmt: skip
DIRECTORY: Final = tempfile.TemporaryDirectory()
FILE: Final = Path(DIRECTORY.name) / "config.yaml"
(Path(DIRECTORY.name) / "secret").write_text("c2VjcmV0LXNlY3JldC1zZWNyZXQ\n", "ascii")
(Path(DIRECTORY.name) / "secret").chmod(0o600)
(Path(DIRECTORY.name) / "users").mkdir()
INCLUDED: Final = Path(DIRECTORY.name) / "config.d" / "more.yaml"
INCLUDED.parent.mkdir()


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    DIRECTORY.cleanup()


def as_yaml(document: Json) -> bytes:
    """A document as an operator would write it; nonsense as somebody else would."""
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "replace")


documents = mapped(altered(FULL), as_yaml)
octets = one_of(
    documents,
    spoilt(documents),
    mapped(lists(one_of(just(*WORDS), just(*WORDS), binary(8)), 20), b"".join),
)


def check_load(written: bytes, included: bytes = b"") -> None:
    FILE.write_bytes(written)
    INCLUDED.write_bytes(included)
    with refused_properly():
        configuration = load(FILE, check_files=False)
        for target in targets(configuration):
            assert target.identifiers
            for note in advice(target, configuration):
                assert note.isprintable()


@promised(documents, share=3)
def test_a_configuration_with_wrong_values(written: bytes) -> None:
    check_load(written)


@promised(documents, octets, share=2)
def test_an_included_file_of_any_octets(written: bytes, included: bytes) -> None:
    check_load(written, included)


@promised(documents, lists(just(*KEYS), 4), share=2)
def test_what_two_files_say_names_both(written: bytes, keys: list[str]) -> None:
    FILE.write_bytes(written)
    INCLUDED.write_bytes(as_yaml({key: FULL[key] for key in keys}))
    with refused_properly():
        for problem in read(FILE).problems:
            if problem.where.startswith(str(INCLUDED)):
                assert f"is already written in {FILE}:" in problem.what


@promised(octets, share=4)
def test_a_file_of_any_octets(written: bytes) -> None:
    check_load(written)


@promised(octets, examples=60, share=1)
def test_check_leaves_with_the_right_code(written: bytes) -> None:
    FILE.write_bytes(written)
    problems = 0
    try:
        load(FILE)
    except ConfigurationError as error:
        problems = len(error.problems)
    ended = gatecert("-c", str(FILE), "check")
    if problems:
        assert ended.code == 2
        assert len(ended.errors.splitlines()) == problems
    else:
        assert ended.code in {0, 2}


PARSERS: Final[tuple[Callable[[object], object], ...]] = (
    values.text,
    values.switch,
    values.fraction,
    values.whole_number,
    values.kept_versions,
    values.duration,
    names.host_name,
    names.gateway_host_name,
    names.identifier,
    names.safe_name,
    names.region,
    addresses.address,
    addresses.endpoint,
    addresses.port_number,
    paths.command,
    paths.permissions,
)


WRITTEN: Final = (
    b"1h30m", b"1/3", b"33%", b"[2001:db8::7]:443", b"127.0.0.1:443", b"vpn.example.com",
    b"*.b\xc3\xbccher.example", b"0640", b"yes", b"xn--bcher-kva.example", b"12",
)  # fmt: skip


@promised(
    just(*PARSERS),
    one_of(
        texts,
        as_text(spoilt(just(*WRITTEN))),
        as_text(spoilt(just(*WRITTEN))),
        just(None, 1.5, float("nan"), 7, [], ["a", "b"], {}),
    ),
    share=120,
)
def test_a_value(parser: Callable[[object], object], written: object) -> None:
    try:
        parser(written)
    except BadValueError as error:
        said = str(error)
    else:
        return
    assert said.isprintable()
    assert len(said) < 1000


def test_the_full_configuration_is_one() -> None:
    FILE.write_bytes(as_yaml(FULL))
    load(FILE, check_files=False)
