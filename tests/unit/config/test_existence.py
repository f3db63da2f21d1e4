from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config import existence
from gatecert.config.existence import findings, programs
from gatecert.config.schema import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def of(
    gateway: Mapping[str, object],
    challenges: Mapping[str, object] | None = None,
) -> list[tuple[str, str]]:
    """Return what is missing: the last steps of the key, and the message."""
    configuration = Configuration.model_validate(
        {
            "authorities": {"le": {"directory_url": "letsencrypt"}},
            "challenges": challenges or {},
            "gateways": {"vpn": {"hostname": "vpn.example.com", **gateway}},
        },
        by_alias=True,
        by_name=False,
    )
    return [
        (".".join(map(str, found.location[-3:])), found.what) for found in findings(configuration)
    ]


def test_a_misspelt_command_gets_a_suggestion() -> None:
    ((key, what),) = of({"install": {"reload": ["chmodd", "0640", "file"]}})
    assert key == "install.reload.0"
    assert what.startswith("there is no program 'chmodd' on PATH; did you mean chmod?")


def test_programs_are_searched_in_every_directory(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for path in (tmp_path / "one" / "systemctl", tmp_path / "nginx"):
        path.touch(mode=0o755)
    found = programs(f"{tmp_path / 'one'}:{tmp_path}:{tmp_path / 'missing'}")
    assert {"systemctl", "nginx"} <= found


def test_commands_exist_and_are_executable(tmp_path: Path) -> None:
    script = tmp_path / "reload"
    (_, what), (_, other) = of(
        {"install": {"reload": [str(script)], "verify_command": ["no-such-program-at-all"]}}
    )
    assert what.startswith(f"there is no program {script}")
    assert "/usr/local/sbin" in other
    script.touch(mode=0o644)
    ((_, what),) = of({"install": {"reload": [str(script)]}})
    assert "chmod +x" in what
    script.chmod(0o755)
    assert of({"install": {"reload": [str(script)], "verify_command": ["sh", "-c", "x"]}}) == []


def test_the_command_of_dns_01_exists() -> None:
    challenges = {"dns-01": {"provider": "exec", "command": ["/no/such/hook"]}}
    what = "there is no program /no/such/hook; install it, or correct its name"
    assert of({}, challenges) == [("dns-01.command.0", what)]


def test_a_program_in_another_directory_is_suggested() -> None:
    ((_, what),) = of({"install": {"reload": ["/opt/sh"]}})
    assert what.startswith("there is no program /opt/sh; did you mean /")


def test_directories_exist(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    gone = tmp_path / "gone"
    assert of({}, {"http-01": {"webroot": str(tmp_path)}}) == []
    ((key, what),) = of({}, {"http-01": {"webroot": str(gone)}})
    assert key == "challenges.http-01.webroot"
    assert f"there is no directory {gone}" in what
    ((_, what),) = of({}, {"http-01": {"webroot": str(file)}})
    assert what == f"{file} is not a directory"


def test_a_textfile_needs_a_directory(tmp_path: Path) -> None:
    def found(path: Path) -> list[str]:
        configuration = Configuration.model_validate(
            {"gateways": {}, "metrics": {"textfile": str(path)}}
        )
        return [each.what for each in findings(configuration)]

    assert found(tmp_path / "gatecert.prom") == []
    (what,) = found(tmp_path / "gone" / "gatecert.prom")
    assert what == f"there is no directory {tmp_path / 'gone'}; create it, or correct the path"


def test_a_copy_needs_a_directory_and_an_owner_but_need_not_exist(tmp_path: Path) -> None:
    copy: dict[str, object] = {"path": str(tmp_path / "cert.pem"), "contents": "fullchain"}
    assert of({"install": {"copy_to": [copy]}}) == []
    copy |= {"owner": "root", "group": "0"}
    assert of({"install": {"copy_to": [copy], "key_group": "root"}}) == []
    copy |= {"path": str(tmp_path / "gone" / "cert.pem"), "owner": "rooot", "group": "nobody-here"}
    found = of({"install": {"copy_to": [copy], "key_group": "roott"}})
    assert [key for key, _ in found] == [
        "vpn.install.key_group",
        "copy_to.0.path",
        "copy_to.0.owner",
        "copy_to.0.group",
    ]
    assert "did you mean root?" in found[0][1]
    assert found[2][1] == "there is no user 'rooot' on this host; did you mean root?"


def test_client_authentication_files_exist(tmp_path: Path) -> None:
    users = {"crl_files": [str(tmp_path / "users.crl")], "known_users": str(tmp_path / "users")}
    found = of({"client_authentication": users})
    assert [key for key, _ in found] == [
        "client_authentication.crl_files.0",
        "vpn.client_authentication.known_users",
    ]
    (tmp_path / "users.crl").touch()
    (tmp_path / "users").mkdir()
    assert of({"client_authentication": users}) == []


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (["systemctl reload ocserv"], "[systemctl, reload, ocserv]"),
        (["/usr/bin/systemctl reload", "ocserv"], "[/usr/bin/systemctl, reload, ocserv]"),
        (["kill -HUP 17 'a b'"], '[kill, -HUP, 17, "a b"]'),
        (["kill it's"], '[kill, "it\'s"]'),
        (["systemctl reload ocserv && echo x"], "with #!/bin/sh, and write a list with its path"),
    ],
)
def test_a_command_in_one_string_is_written_as_a_list(written: list[str], wanted: str) -> None:
    found = of({"install": {"reload": written, "verify_command": written}})

    assert [key for key, _ in found] == ["install.reload.0", "install.verify_command.0"]
    for _, what in found:
        assert what.startswith("the program and its arguments are one string, but commands run")
        assert wanted in what


def test_a_program_may_have_a_space_in_its_name(tmp_path: Path) -> None:
    script = tmp_path / "reload it"
    script.touch(mode=0o755)

    assert of({"install": {"reload": [str(script)]}}) == []


def test_each_program_is_looked_for_once(
    configuration: Callable[[str], Configuration], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def look_up(program: str) -> str:
        asked.append(program)
        return "/bin/sh"

    monkeypatch.setattr(existence, "executable", look_up)
    gateways = ", ".join(f"g{number}: {{hostname: g{number}.cn}}" for number in range(5))
    loaded = configuration(f"defaults: {{install: {{reload: [sh]}}}}\ngateways: {{{gateways}}}\n")
    assert list(findings(loaded)) == []
    assert asked == ["sh"]


def of_receivers(*receivers: Mapping[str, object]) -> dict[str, str]:
    """Return what receivers of notifications lack, by the last steps of the key."""
    configuration = Configuration.model_validate(
        {"notify": list(receivers), "gateways": {}}, by_alias=True, by_name=False
    )
    return {".".join(map(str, each.location)): each.what for each in findings(configuration)}


def test_receivers_need_their_program_and_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    files = {name: tmp_path / f"s3cret-{name}" for name in ("good", "open", "empty", "missing")}
    for name, mode in (("good", 0o600), ("open", 0o644), ("empty", 0o600)):
        files[name].touch(mode=mode)
        files[name].write_text("" if name == "empty" else "https://hooks.example/")
    found = of_receivers(
        {"command": ["no-such-program-at-all"]},
        {"webhook_file": str(files["good"])},
        {"webhook_file": str(files["open"])},
        {"url_file": str(files["empty"])},
        {"url_file": str(files["missing"])},
    )
    assert found.keys() == {
        "notify.0.command.0",
        "notify.2.webhook_file",
        "notify.3.url_file",
        "notify.4.url_file",
    }
    assert "world-readable" in found["notify.2.webhook_file"]
    assert "empty file" in found["notify.3.url_file"]
    assert "does not exist" in found["notify.4.url_file"]
    assert not any("s3cret" in what for what in found.values())
