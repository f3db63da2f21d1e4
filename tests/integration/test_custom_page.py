"""The commands of docs/custom-certificates.md, run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness.nginx import Nginx
from harness.openssl import HandmadeAuthority

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.gatecert import Gatecert

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom-certificates.md"
HQ = "hq"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_from_csr_to_trusted_and_through_a_renewal(
    servers: ExitStack, gatecert: Gatecert, tmp_path: Path
) -> None:
    web = Nginx(tmp_path / "nginx", **gatecert.files(HQ))
    gateway = yaml.safe_load(blocks("yaml")[0])["gateways"][HQ]
    gateway["install"] = {"reload": web.reload_command, "verify": [web.address]}
    gatecert.configuration["gateways"][HQ] = gateway
    gatecert.start()
    gatecert.wait_bootstrapped(HQ)
    servers.enter_context(web)
    desk = tmp_path / "authority"
    HandmadeAuthority(desk)
    command = desk / "bin" / "gatecert"
    command.parent.mkdir()
    executable = Path(sys.executable).with_name("gatecert")
    command.write_text(f'#!/bin/sh\nexec {executable} -c {gatecert.configuration_file} "$@"\n')
    command.chmod(0o755)

    printed = ""
    for script in blocks("sh"):
        finished = subprocess.run(
            ["/bin/bash", "-euc", script.replace("127.0.0.1:443", web.address)],
            cwd=desk,
            env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "NO_COLOR": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert finished.returncode == 0, f"{script}{finished.stdout}{finished.stderr}"
        printed += finished.stdout

    assert "DNS:vpn.company.com, DNS:remote.company.com" in printed
    assert "hq private-root: serves its certificate" in printed
    assert "Verify return code: 0 (ok)" in printed
    assert printed.count("hq: imported: the certificate of vpn.company.com is served") == 2
