"""Web configurations in the format of Prometheus exporters."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gatecert.config.web_config import web_access
from gatecert.errors import ConfigurationError
from gatecert.model import WebAccess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
PAIR = "cert_file: s.pem\n  key_file: k.pem"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "web.yml"
    path.touch(0o640)
    return path


def problems(path: Path, content: str) -> list[str]:
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        web_access(path)
    return [str(each).removeprefix(f"{path}:") for each in caught.value.problems]


def test_all_that_is_supported(written: Path, tmp_path: Path) -> None:
    written.write_text(
        f"""\
tls_server_config:
  cert_file: tls/server.pem
  key_file: /etc/tls/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS13
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=86400}}
basic_auth_users:
  alice: {HASH}
""",
        "utf-8",
    )
    assert web_access(written) == WebAccess(
        certificate=str(tmp_path / "tls/server.pem"),
        key="/etc/tls/server.key",
        client_authorities=str(tmp_path / "ca.pem"),
        require_client=True,
        minimum_version="TLS13",
        users={"alice": HASH},
        headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=86400"},
    )


@pytest.mark.parametrize("content", ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n"])
def test_nothing_is_no_tls_and_no_passwords(written: Path, content: str) -> None:
    written.write_text(content, "utf-8")
    assert web_access(written) == WebAccess()


def test_client_certificates_can_be_optional(written: Path) -> None:
    more = "client_ca_file: /ca.pem\n  client_auth_type: VerifyClientCertIfGiven"
    written.write_text(f"tls_server_config:\n  {PAIR}\n  {more}\n", "utf-8")
    access = web_access(written)
    assert access.client_authorities == "/ca.pem"
    assert not access.require_client


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("tls_config:\n", "1: tls_config: unknown key; did you mean tls_server_config?"),
        ("tls_server_config:\n  cert_file: a\n", "1: tls_server_config: key_file is missing"),
        ("tls_server_config:\n  key_file: a\n", "1: tls_server_config: cert_file is missing"),
        ("tls_server_config: [a]\n", "1: tls_server_config: must contain keys and values"),
        (
            f"tls_server_config:\n  {PAIR}\n  keyfile: a\n",
            "4: tls_server_config.keyfile: unknown key; did you mean key_file?",
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  max_version: TLS12\n",
            "4: tls_server_config.max_version: is not supported; leave it out",
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  client_auth_type: RequireAnyClientCert\n",
            "4: tls_server_config.client_auth_type: RequireAnyClientCert does not verify",
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  client_auth_type: Always\n",
            '4: tls_server_config.client_auth_type: "Always" is not supported; write one of',
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  client_auth_type: RequireAndVerifyClientCert\n",
            "1: tls_server_config: client_ca_file is missing",
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  client_ca_file: a\n",
            "4: tls_server_config.client_ca_file: needs client_auth_type",
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  min_version: TLS10\n",
            '4: tls_server_config.min_version: "TLS10" is broken (RFC 8996)',
        ),
        (
            f"tls_server_config:\n  {PAIR}\n  min_version: '1.2'\n",
            '4: tls_server_config.min_version: "1.2" is not a version; write TLS12 or TLS13',
        ),
        ("tls_server_config: {cert_file: ~/a, key_file: b}\n", 'cert_file: "~/a": ~ is not'),
        ("http_server_config: {http2: true}\n", "1: http_server_config.http2: is not supported"),
        (
            "http_server_config: {headers: {X-Frame-Options: maybe}}\n",
            '1: http_server_config.headers.X-Frame-Options: "maybe" is not allowed; write deny or',
        ),
        (
            "http_server_config: {headers: {x-frame-options: deny}}\n",
            "unknown key; did you mean X-Frame-Options?",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nX: y"}}\n',
            "X-XSS-Protection: contains control characters",
        ),
        (
            "http_server_config: {headers: {Content-Security-Policy: none}}\n",
            "Content-Security-Policy: is not supported; leave it out: the status page sends",
        ),
        ("rate_limit: {burst: 1}\n", "1: rate_limit: is not supported; leave it out"),
        ("basic_auth_users: [alice]\n", "1: basic_auth_users: must contain names with bcrypt"),
        (f"basic_auth_users: {{'a:b': {HASH}}}\n", "1: basic_auth_users: has a user with a colon"),
        ("basic_auth_users: {a: {b: c}}\n", "1: basic_auth_users.a: is not a bcrypt hash"),
        ("a: 1\na: 2\n", "2: the key a"),
        ("tls_server_config\n", " holds plain text"),
        ("\t{", "1: "),
    ],
)
def test_each_problem_has_its_line_and_key(written: Path, content: str, told: str) -> None:
    assert any(line.startswith(told) or told in line for line in problems(written, content))


def test_all_problems_are_told_in_the_order_of_lines(written: Path) -> None:
    lines = problems(written, "rate_limit: 1\ntls_server_config:\n  cert: a\nfoo: 1\n")
    assert [line.partition(": ")[0] for line in lines] == ["1", "2", "2", "3", "4"]


@pytest.mark.parametrize(
    "secret",
    ["hunter2", HASH[:-1], HASH.replace("$10$", "$18$"), HASH.replace("$10$", "$03$"), HASH + "x"],
)
def test_a_password_is_refused_and_not_repeated(written: Path, secret: str) -> None:
    (line,) = problems(written, f"basic_auth_users:\n  alice: {secret}\n")
    assert line.startswith("2: basic_auth_users.alice: ")
    assert "htpasswd -nBC 10" in line
    assert secret not in line
    assert secret[7:] not in line or len(secret) < 8


def test_a_missing_bcrypt_names_the_extra(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    (line,) = problems(written, f"basic_auth_users:\n  alice: {HASH}\n")
    assert "pip install 'gatecert[basic-auth]'" in line


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.mkdir(), "it is a directory"),
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.write_bytes(b"#" * 65_537), "more than 65536 bytes"),
        (lambda path: path.write_bytes(b"\xff"), "is not UTF-8 text"),
        (lambda path: (path.touch(), path.chmod(0o666)), "is world-writable"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    path = tmp_path / "web.yml"
    make(path)
    with pytest.raises(ConfigurationError, match=told):
        web_access(path)


def test_loading_a_configuration_reports_both_places(
    complaints: Callable[[str], list[str]], written: Path
) -> None:
    written.write_text("\nbasic_auth_users: {alice: hunter2}\n", "utf-8")
    (line,) = complaints(
        "gateways: {g: {hostname: g.example.com, region: cn}}\n"
        "page: {listen: [127.0.0.1:1234], web_config: web.yml}\n"
    )
    assert line.startswith(f"2: page.web_config: {written}:2: basic_auth_users.alice: is not")
    assert "hunter2" not in line


def test_the_user_of_the_daemon_may_own_the_file(written: Path) -> None:
    written.write_text("", "utf-8")
    owner = written.stat().st_uid
    assert web_access(written, {owner}) == WebAccess()
    with pytest.raises(ConfigurationError, match="belongs to user"):
        web_access(written, {owner + 1})
