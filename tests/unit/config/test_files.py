from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
BUNDLES = """\
authorities:
  a:
    directory_url: https://a.example/
    ca_bundle: {path}
gateways: {{g: {{hostname: g.example.com}}}}
"""
SECRETS = """\
authorities:
  a:
    directory_url: https://a.example/
    external_account: {{key_id: k, hmac_key_file: {path}}}
gateways: {{g: {{hostname: g.example.com}}}}
"""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "contains no PEM certificate (no -----BEGIN CERTIFICATE-----)"),
        (b"\x30\x82", "contains no PEM certificate"),
        (b"x" * (8 << 20) + b"x", "names a file that is too large"),
        (None, "names a file that does not exist"),
    ],
)
def test_bundles_hold_certificates(
    complaints: Callable[[str], list[str]], tmp_path: Path, content: bytes | None, told: str
) -> None:
    bundle = tmp_path / "roots.pem"
    if content is not None:
        bundle.write_bytes(content)
    (line,) = complaints(BUNDLES.format(path="roots.pem"))
    assert line.startswith("4: authorities.a.ca_bundle: ")
    assert told in line
    assert str(bundle) in line


def test_a_directory_is_not_a_bundle(
    complaints: Callable[[str], list[str]], tmp_path: Path
) -> None:
    (line,) = complaints(BUNDLES.format(path=tmp_path))
    assert "names something that is not a regular file" in line


def test_an_unreadable_file_is_refused_with_its_reason(
    complaints: Callable[[str], list[str]],
) -> None:
    (line,) = complaints(BUNDLES.format(path="/proc/self/mem"))
    assert "names a file that cannot be read: input/output error" in line


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [
        (0o644, "S3cr3t", "names a world-readable or world-writable file; run chmod o= on it"),
        (0o602, "S3cr3t", "names a world-readable or world-writable file"),
        (0o600, " \n", "names an empty file; write the secret to it"),
        (0o600, "S3cr3t" * 20_000, "names a file that is too large; it must be a file that"),
    ],
)
def test_secret_files_must_be_private(
    complaints: Callable[[str], list[str]], tmp_path: Path, mode: int, content: str, told: str
) -> None:
    secret = tmp_path / "hmac"
    secret.write_text(content)
    secret.chmod(mode)
    (line,) = complaints(SECRETS.format(path="hmac"))
    assert line.startswith("4: authorities.a.external_account.hmac_key_file: ")
    assert told in line
    assert "S3cr3t" not in line


def test_a_secret_instead_of_its_path_is_not_repeated(
    complaints: Callable[[str], list[str]],
) -> None:
    (line,) = complaints(SECRETS.format(path="S3cr3t"))
    assert line.endswith(
        "names a file that does not exist; it must be a file that contains the secret"
    )


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440])
def test_secrets_may_be_shared_with_a_group(
    configuration: Callable[[str], Configuration], tmp_path: Path, mode: int
) -> None:
    secret = tmp_path / "hmac"
    secret.write_text("c2VjcmV0\n")
    secret.chmod(mode)
    account = configuration(SECRETS.format(path="hmac")).authorities["a"].external_account
    assert account is not None
    assert account.hmac_key_file == secret


def test_hidden_systemd_credentials_are_not_reported(
    configuration: Callable[[str], Configuration],
    complaints: Callable[[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory = tmp_path / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    assert configuration(SECRETS.format(path="credential:hmac")).gateways
    assert complaints(SECRETS.format(path="hmac"))
    directory.mkdir()
    assert complaints(SECRETS.format(path="credential:hmac"))


def test_a_credential_that_does_not_exist_is_named(
    complaints: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (line,) = complaints(SECRETS.format(path="credential:hmac"))
    assert f"names a credential that does not exist ({tmp_path / 'hmac'}); systemd" in line
    assert line.endswith("only while gatecert.service runs")


def test_every_file_is_checked(complaints: Callable[[str], list[str]], tmp_path: Path) -> None:
    (tmp_path / "good.pem").write_text(PEM)
    written = """\
authorities:
  a:
    directory_url: https://a.example/
    ca_bundle: good.pem
    trusted_roots: none.pem
challenges:
  dns-01:
    provider: rfc2136
    server: 192.0.2.1
    tsig: {name: k, secret_file: none}
gateways: {g: {hostname: g.example.com}}
"""
    assert [line.split(": ")[1] for line in complaints(written)] == [
        "authorities.a.trusted_roots",
        "challenges.dns-01.tsig.secret_file",
    ]
    lexicon = """\
authorities: {a: {directory_url: https://a.example/}}
challenges: {dns-01: {provider: hetzner, credentials: {auth_token: credential:none}}}
gateways: {g: {hostname: g.example.com}}
"""
    (line,) = complaints(lexicon)
    assert line.startswith("2: challenges.dns-01.credentials.auth_token: names a credential that")


MUTUAL = """\
authorities:
  a:
    directory_url: https://a.example/
    client_certificate: client.pem
    client_key: client.key
gateways: {g: {hostname: g.example.com}}
"""


def test_the_key_of_a_client_certificate_is_a_secret(
    complaints: Callable[[str], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "client.pem").write_text(PEM)
    (tmp_path / "client.key").write_text("S3cr3t")
    (tmp_path / "client.key").chmod(0o644)
    (line,) = complaints(MUTUAL)
    assert line.startswith("5: authorities.a.client_key: names a world-readable")
    assert "S3cr3t" not in line


def test_a_client_certificate_must_exist(
    complaints: Callable[[str], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "client.key").write_text("S3cr3t")
    (tmp_path / "client.key").chmod(0o600)
    (line,) = complaints(MUTUAL)
    assert line.startswith("4: authorities.a.client_certificate: names a file that does not exist")


@pytest.mark.parametrize(
    ("given", "missing"),
    [("client_certificate", "client_key"), ("client_key", "client_certificate")],
)
def test_certificate_and_key_come_together(
    complaints: Callable[[str], list[str]], given: str, missing: str
) -> None:
    line = next(line for line in MUTUAL.splitlines() if f" {missing}:" in line)
    told = complaints(MUTUAL.replace(f"{line}\n", ""))
    assert f"2: authorities.a.{missing}: is missing: {given} requires it" in told
