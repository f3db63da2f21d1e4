"""The commands of docs/client-certificates.md, run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness.ocserv import Ocserv
from harness.openconnect import authenticate
from harness.user_certificates import UserCertificate, asked_for

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.gatecert import Gatecert

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client-certificates.md"
BOSTON = "boston"
STATE = "/var/lib/gatecert"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_from_the_first_client_ca_to_its_successor_and_a_revocation(
    servers: ExitStack, gatecert: Gatecert, tmp_path: Path
) -> None:
    ocserv = Ocserv(
        tmp_path / "ocserv",
        **gatecert.files(BOSTON),
        authentication=blocks("ocserv")[0].replace(STATE, str(gatecert.state_directory)),
    )
    servers.push(ocserv.__exit__)
    gateway = yaml.safe_load(blocks("yaml")[0])["gateways"][BOSTON]
    gateway["install"] = {"reload": ocserv.reload_command, "verify": [ocserv.address]}
    # The page does not cover enrolment.
    gatecert.configuration["gateways"][BOSTON] = {**gateway, "mode": "custom"}
    gatecert.write()
    gatecert.run("enroll")
    ocserv.start()
    desk = gatecert.configuration_file.parent
    command = tmp_path / "bin" / "gatecert"
    command.parent.mkdir()
    executable = Path(sys.executable).with_name("gatecert")
    command.write_text(f'#!/bin/sh\nexec {executable} -c {gatecert.configuration_file} "$@"\n')
    command.chmod(0o755)
    root = gatecert.live(BOSTON) / "cert.pem"
    name = gateway["hostname"]

    printed = ""
    for script in blocks("sh"):
        finished = subprocess.run(
            ["/bin/bash", "-euc", script],
            cwd=desk,
            env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "NO_COLOR": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert finished.returncode == 0, f"{script}{finished.stdout}{finished.stderr}"
        printed += finished.stdout
        if "client-ca list" in script:
            alice = UserCertificate(desk / "alice.pem", desk / "alice.key")
            assert authenticate(ocserv, name, root, *alice.options).trusted

    assert printed.count("boston: accepted:") == 2
    assert printed.count("boston: deployed: added") == 2
    assert "boston: deployed: removed 'CN=Example Company Users,O=Example Company'" in printed
    assert asked_for(ocserv.address) == ["CN=Example Company Users 2,O=Example Company"]
    assert (desk / "boston.xml").read_text("utf-8").count(name) == 1
    gateway["client_authentication"].update(crl_files=["users.crl"])
    gatecert.configuration["gateways"][BOSTON] = {**gateway, "mode": "custom"}
    gatecert.write()
    revoked = gatecert.run("client-ca", "check", BOSTON, str(desk / "users" / "alice.pem"))
    assert revoked.exit_code == 1
    assert "was revoked on" in revoked.output


def test_the_crl_key_of_the_page_is_valid(gatecert: Gatecert, tmp_path: Path) -> None:
    gateway = yaml.safe_load(blocks("yaml")[0])["gateways"][BOSTON]
    gateway.update(yaml.safe_load(blocks("yaml")[1]), mode="custom")
    gateway["client_authentication"]["crl_files"] = [str(tmp_path / "users.crl")]
    (tmp_path / "users.crl").touch()
    gatecert.configuration["gateways"][BOSTON] = gateway
    gatecert.write()
    result = gatecert.run("check")
    assert result.exit_code == 0, result.errors
