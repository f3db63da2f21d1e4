"""Problems that check and doctor find in a valid configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, START

from gatecert import container
from gatecert.certificate.bootstrap import bootstrap
from gatecert.config.include import read
from gatecert.config.load import validate
from gatecert.doctor.configuration_problems import ConfigurationProblems, configuration_problems
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NAME = Identifier(IdentifierType.DNS, "vpn.company.com")


def problems(file: Path, written: str, now: datetime = START) -> ConfigurationProblems:
    file.write_text(written, "utf-8")
    document = read(file)
    return configuration_problems(document, validate(document), now)


def test_each_problem_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    written = (
        "authorities:\n  letsencrypt:\n    contact: [ops@example.com]\n"
        "gateways:\n  vpn:\n    hostname: vpn.company.com\n    region: UK\n"
        "    install:\n      key_group: nobody-here\n      reload: [no-such-program-at-all]\n"
    )

    found = problems(file, written)

    assert [str(each).partition(": ")[0] for each in found.missing] == [f"{file}:9", f"{file}:10"]
    assert [str(each)[len(str(file)) :][:33] for each in found.unworkable] == [
        ":3: authorities.letsencrypt.conta",
        ":7: gateways.vpn.region: UK is no",
    ]


def test_roots_that_have_expired_end_no_chain(tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(bootstrap((NAME,), now=START - DAY).certificate)
    written = (
        "authorities:\n  ca:\n    directory_url: https://ca.internal/directory\n"
        f"    trusted_roots: {roots}\ngateways:\n  vpn: {{hostname: vpn.company.com}}\n"
    )

    (problem,) = problems(tmp_path / "config.yaml", written).unworkable

    assert ".yaml:4: authorities.ca.trusted_roots: no chain can end in the" in str(problem)


def test_providers_of_challenges_and_of_dynamic_dns_are_checked(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret", "ascii")
    token.chmod(0o600)
    written = (
        f"challenges: {{dns-01: {{provider: cloudfare, credentials: {{auth_token: {token}}}}}}}\n"
        "gateways:\n  vpn:\n    hostname: vpn.company.com\n    mode: custom\n"
        f"    ddns: {{provider: hetzner, credentials: {{token: {token}}}}}\n"
    )

    found = [str(each) for each in problems(tmp_path / "config.yaml", written).unworkable]

    assert len(found) == 2
    assert ":1: challenges.dns-01.provider: there is no DNS provider cloudfare; did you" in found[0]
    assert ":6: gateways.vpn.ddns.credentials.token: hetzner has no such option; did" in found[1]


def test_directories_that_root_refuses_to_write_to(tmp_path: Path) -> None:
    for name, mode in (("state", 0o700), ("shared", 0o777), ("own", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    copies = [f"{{path: {tmp_path / name}/a.pem, contents: cert}}" for name in ("own", "shared")]
    written = (
        f"state_directory: {tmp_path / 'state'}\n"
        f"challenges: {{http-01: {{webroot: {tmp_path / 'shared'}}}}}\n"
        f"gateways:\n  vpn:\n    hostname: vpn.company.com\n    mode: custom\n"
        f"    install: {{copy_to: [{', '.join(copies)}]}}\n"
    )

    found = [str(each) for each in problems(tmp_path / "config.yaml", written).unworkable]

    if os.geteuid() != 0:  # it writes there as one of many users
        assert found == []
        return
    (problem,) = found
    assert "gateways.vpn.install.copy_to[1].path: " in problem
    assert "can be changed by every user, who could make gatecert" in problem
    assert problem.endswith(f"; chmod go-w {tmp_path / 'shared'}")
    os.chown(tmp_path / "state", 60002, 60002)  # the daemon's user
    assert problems(tmp_path / "config.yaml", written).unworkable == ()


@pytest.mark.parametrize(
    ("mode", "key_group", "inside", "fails"),
    [
        (0o640, "{own}", False, True),
        (0o600, "{own}", False, False),
        (0o640, "4294967", False, False),
        (0o640, "nobody-here", False, False),
        (0o640, "null", False, False),
        (0o640, "{own}", True, False),
    ],
)
def test_the_group_of_a_server_may_not_read_secrets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    key_group: str,
    inside: bool,  # noqa: FBT001 - a parameter of the test
    fails: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(container, "in_container", inside)
    secret = tmp_path / "eab.key"
    secret.write_text("c2VjcmV0", "ascii")
    secret.chmod(mode)
    group = key_group.format(own=secret.stat().st_gid)
    written = (
        "authorities:\n  ca:\n    directory_url: https://ca.internal/directory\n"
        f"    external_account: {{key_id: k, hmac_key_file: {secret}}}\n"
        f"gateways:\n  vpn: {{hostname: vpn.company.com, install: {{key_group: {group}}}}}\n"
    )

    found = [str(each) for each in problems(tmp_path / "config.yaml", written).unworkable]

    place = ".yaml:4: authorities.ca.external_account.hmac_key_file: names a file that the group"
    assert [place in line and "gateways.vpn.install.key_group" in line for line in found] == (
        [True] if fails else []
    )
    assert not [line for line in found if str(secret) in line]


def test_client_certificates_are_checked(tmp_path: Path) -> None:
    issued = bootstrap((NAME,), now=START)
    (tmp_path / "client.pem").write_bytes(issued.certificate)
    (tmp_path / "client.key").write_bytes(issued.private_key)
    (tmp_path / "client.key").chmod(0o600)
    written = (
        "state_directory: state\n"
        "authorities:\n  relay:\n    directory_url: https://relay.internal/directory\n"
        "    client_certificate: client.pem\n    client_key: client.key\n"
        "gateways:\n  vpn: {hostname: vpn.company.com}\n"
    )

    def told(now: datetime) -> list[str]:
        found = problems(tmp_path / "config.yaml", written, now).unworkable
        return [str(each).partition("authorities.relay.client_certificate: ")[2] for each in found]

    assert told(START) == []
    if os.geteuid() == 0:  # the command of root becomes the owner of the state, whose key it is
        (tmp_path / "state").mkdir()
        for path in (tmp_path / "state", tmp_path / "client.key"):
            os.chown(path, 65534, 65534)
        assert told(START) == []
    assert [each[:8] for each in told(START + 4000 * DAY)] == ["ended at"]
    assert [each[:19] for each in told(START - 4000 * DAY)] == ["is not valid before"]
    (tmp_path / "client.key").write_bytes(bootstrap((NAME,), now=START).private_key)
    (mismatch,) = told(START)
    assert "client.key does not belong to the certificate" in mismatch
