from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatecert.config.load import load
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.config.schema import Configuration

WRONG = """\
state_directroy: /var/lib/gatecert
authorities:
  le:
    directory_url: http://acme.example/dir
    contact: ops@example.com
    terms_of_service_agreed: maybe
resolver: {interval: 30}
challenges:
  http-01: {listen: ["[::]:80"], webroot: /var/www}
gateways:
  boston:
    hostnme: boston.example.com
    challenge: http-1
    install:
      reload: systemctl reload ocserv
      verify: ["127.0.0.1:443", "here:"]
  b b: {hostname: b.example.com}
  wild: {hostname: "*.example.com", challenge: http-01, authorities: [lee]}
  private: {hostname: gw.local, reload: [x]}
  address: {hostname: 10.0.0.1}
  empty:
"""


def test_every_problem_is_reported_in_the_order_of_the_file(
    complaints: Callable[[str], list[str]],
) -> None:
    found = complaints(WRONG)
    assert [line.partition(" ")[0] for line in found] == [
        "1:",
        *("4:", "5:", "6:", "7:", "9:"),
        *("11:", "12:", "13:", "15:", "16:", "17:", "18:", "18:", "19:", "20:", "21:"),
    ]
    assert found[0] == "1: state_directroy: unknown key; did you mean state_directory?"
    assert "11: gateways.boston.hostname: is missing: DNS name that clients" in "\n".join(found)
    assert any(line.startswith('16: gateways.boston.install.verify[1]: "here:"') for line in found)
    assert all("pydantic" not in line and "Input should" not in line for line in found)


def test_consequential_errors_are_not_reported(
    complaints: Callable[[str], list[str]],
) -> None:
    written = """\
authorities: {le: {directory_url: http://acme.example/}}
challenges: {dns-01: {provider: [x]}}
gateways:
  a: {hostname: "*.example.com", challenge: dns-1, authorities: [le]}
  b: {hostname: "*.example.net", authorities: [le]}
"""
    assert [line.split(": ")[1] for line in complaints(written)] == [
        "authorities.le.directory_url",
        "challenges.dns-01.provider",
        "gateways.a.challenge",
    ]


def test_an_invalid_gateway_has_no_consequential_errors(
    complaints: Callable[[str], list[str]],
) -> None:
    (line,) = complaints("gateways: {gw: {hostname: 10.0.0.1}}")
    assert line.startswith("1: gateways.gw.hostname: ")
    assert complaints("gateways: [a, b]") == [
        "1: gateways: must contain names with settings, indented below it"
    ]
    (line,) = complaints("excluded_regions: [cn]\n")
    assert line.startswith("1: gateways: is missing")


def test_yaml_problems_are_reported_with_the_rest(
    complaints: Callable[[str], list[str]],
) -> None:
    found = complaints("resolver: {interval: 5}\nresolver: {}\ngateways: {}\n")
    assert found == [
        '1: resolver.interval: "5" has no unit; write 5s for seconds (or m, h, d)',
        "2: the key resolver is already written in line 1; leave one out",
        "3: gateways: has no gateway; write at least one",
    ]


def test_the_python_name_of_a_key_is_unknown(complaints: Callable[[str], list[str]]) -> None:
    (line,) = complaints("challenges: {http_01: {}}\ngateways: {g: {hostname: x.cn}}\n")
    assert line == "1: challenges.http_01: unknown key; did you mean http-01?"


def test_relative_paths_start_at_the_directory_of_the_file(
    configuration: Callable[[str], Configuration], tmp_path: Path
) -> None:
    loaded = configuration("state_directory: state\ngateways: {g: {hostname: x.cn}}\n")
    assert loaded.state_directory == tmp_path / "state"


def test_files_are_checked_unless_disabled(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "authorities: {a: {directory_url: https://a.example/, ca_bundle: none.pem}}\n"
        "gateways: {g: {hostname: g.example.com}}\n",
        encoding="utf-8",
    )
    assert load(path, check_files=False).authorities["a"].ca_bundle == tmp_path / "none.pem"
    with pytest.raises(ConfigurationError, match=r"config.yaml:1: authorities.a.ca_bundle: names"):
        load(path)


def test_loading_is_logged_with_fields(
    configuration: Callable[[str], Configuration], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "gatecert.config"):
        configuration("gateways: {g: {hostname: x.cn}}\n")
    assert "configuration loaded file=" in caplog.text
    assert "gateways=1" in caplog.text


KEYS = st.sampled_from(
    [
        *("authorities", "gateways", "challenges", "http-01", "dns-01", "tls-alpn-01", "resolver"),
        *("hostname", "listen", "interval", "install", "copy_to", "reload", "name", "members"),
        *("tsig", "options", "state_directory", "provider", "[key]", "x", "le"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(
    st.fixed_dictionaries({"gateways": VALUES}, optional={"authorities": VALUES}) | VALUES,
    st.dictionaries(st.sampled_from(["resolver", "challenges", "state_directory"]), VALUES),
)
def test_any_document_is_loaded_or_refused_with_a_text(
    tmp_path: Path, document: object, more: dict[str, object]
) -> None:
    path = tmp_path / "config.yaml"
    merged = {**document, **more} if isinstance(document, dict) else document
    path.write_text(yaml.safe_dump(merged, allow_unicode=True), encoding="utf-8")
    problems: tuple[object, ...] = ()
    try:
        load(path)
    except ConfigurationError as error:
        problems = error.problems
        assert problems
    for problem in problems:
        assert str(problem).isprintable()
        assert "Input should" not in str(problem)


SECRETS = """\
authorities:
  le:
    directory_url: https://me:S3cr3t@acme.example/
    external_account: {key_id: k, hmac_key: S3cr3t, hmac_key_file: [S3cr3t]}
  two:
    directory_url: https://acme.example/
    external_account: S3cr3t
  three:
    directory_url: https://acme.example/
    external_account: {key_id: k, hmac_key_file: S3cr3t}
challenges:
  dns-01:
    provider: cloudflare
    tsig: {name: k, secret: S3cr3t, secret_file: S3cr3t}
    options: {auth_token: S3cr3t}
    credentials: {auth_token: S3cr3t, other: {x: S3cr3t}}
gateways: {g: {hostname: x.example.com}}
"""


def test_no_misplaced_secret_is_repeated(
    complaints: Callable[[str], list[str]],
) -> None:
    found = complaints(SECRETS)
    assert len(found) >= 9
    assert "S3cr3t" not in "\n".join(found)


def test_the_error_lists_file_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("gateways: {g: {hostname: x.cn}}\nresolvr: {}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:2: resolvr: unknown key; did you mean resolver?"
    assert Path(caught.value.problems[0].where.rpartition(":")[0]) == path
