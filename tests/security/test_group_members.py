"""Members of a ``key_group`` reach the certificates and keys of that group's gateways only.

The daemon's own group may be a ``key_group`` as well (``key_group: gatecert`` of the package).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.security.conftest import User

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

OF_GATECERT, OF_A_SERVER = 60010, 60011
OWN_CERTIFICATE: Final = "spare"
GROUPS: Final = {"boston": OF_A_SERVER, "denver": OF_GATECERT, "hq": None, "spare": OF_A_SERVER}
# Opens every path in every way, without changing anything.
REACH: Final = """
import json, os, sys

ways = {"read": os.O_RDONLY, "write": os.O_WRONLY}
reached = {"read": [], "write": [], "list": []}
for path in json.load(open(sys.argv[1])):
    is_directory = os.path.isdir(path)
    for way, flags in ways.items():
        try:
            if not is_directory:
                os.close(os.open(path, flags | os.O_NONBLOCK))
                reached[way].append(path)
            elif way == "write":
                if os.access(path, os.W_OK):
                    reached[way].append(path)
            else:
                os.listdir(path)
                reached["list"].append(path)
        except OSError:
            pass
print(json.dumps(reached))
"""


@pytest.fixture
def state(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, open_path: Path) -> Path:
    """A state directory with everything in it, as a service whose group is OF_GATECERT makes it.

    It runs as root, because other users cannot reach the program in a home directory.
    """
    gatecert.use(pebble, names)
    for name, group in GROUPS.items():
        names.point(f"{name}.example.com", "127.0.0.1")
        install = {} if group is None else {"key_group": str(group)}
        gatecert.add_gateway(name, f"{name}.example.com", install=install)
    gatecert.configuration["gateways"][OWN_CERTIFICATE]["mode"] = "custom"
    gatecert.write()
    for arguments in (("enroll",), ("csr", OWN_CERTIFICATE)):
        ended = subprocess.run(
            [*gatecert.command, *arguments],
            group=OF_GATECERT,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
    kinds = {path.name for path in gatecert.state_directory.rglob("*")}
    assert {"key.pem", "account.json", "privkey.pem", "state.json", "lock", "requests"} <= kinds
    assert open_path in gatecert.state_directory.parents
    return gatecert.state_directory


@pytest.mark.attack("a server's user reads a secret of gatecert, as a member of its key_group")
def test_a_secret_that_the_server_may_read_is_refused(gatecert: Gatecert, tmp_path: Path) -> None:
    secret = tmp_path / "eab.key"
    secret.write_text("c2VjcmV0", "ascii")
    os.chown(secret, 0, OF_A_SERVER)
    secret.chmod(0o640)
    gatecert.configuration["authorities"]["ca"] = {
        "directory_url": "https://ca.internal/directory",
        "contact": ["ops@company.com"],
        "terms_of_service_agreed": True,
        "external_account": {"key_id": "k", "hmac_key_file": str(secret)},
    }
    gatecert.add_gateway("boston", "vpn.company.com", install={"key_group": str(OF_A_SERVER)})
    checked = gatecert.write().run("check")

    assert checked.exit_code == 2
    assert "the group of gateways.boston.install.key_group may read" in checked.errors
    secret.chmod(0o600)
    assert gatecert.run("check").exit_code == 0


@pytest.mark.attack("a member of a key_group reaches what belongs to gatecert or to other gateways")
@pytest.mark.parametrize("group", [OF_A_SERVER, OF_GATECERT, None])
def test_a_key_group_reaches_its_own_gateways_only(
    state: Path, attacker: User, tmp_path: Path, group: int | None
) -> None:
    every = [state, *state.rglob("*")]
    paths = tmp_path / "paths.json"
    paths.write_text(json.dumps([str(path) for path in every]), "utf-8")
    paths.chmod(0o644)

    ended = subprocess.run(
        ["/usr/bin/python3", "-c", REACH, paths],
        user=attacker.number,
        group=attacker.number,
        extra_groups=[] if group is None else [group],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    reached = json.loads(ended.stdout)
    own = [state / "gateways" / name for name, members in GROUPS.items() if members == group]
    keys = [path for path in every for top in own if group and top / "versions" in path.parents]
    assert reached["write"] == []
    assert sorted(reached["read"]) == sorted(str(path) for path in keys if path.is_file())
    below_own = {path for path in every for top in own if top in (path, *path.parents)}
    names_only = {state, state / "gateways"}
    listed = {Path(path) for path in reached["list"]}
    assert listed <= (below_own | names_only if group else set())
    assert not [path for path in listed if path.name == "requests"]
