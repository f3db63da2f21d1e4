from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from gatecert.config.paths import AnyFile, SecretFile, command, permissions
from gatecert.config.values import BadValueError
from gatecert.config.written import Written

HERE = Path("/etc/gatecert")
FILE: TypeAdapter[Path] = TypeAdapter(AnyFile)
SECRET: TypeAdapter[Path] = TypeAdapter(SecretFile)


def test_relative_paths_start_at_the_file_in_which_they_stand() -> None:
    assert FILE.validate_python(Written("ca.pem", HERE)) == HERE / "ca.pem"
    assert FILE.validate_python(Written("/ca.pem", HERE)) == Path("/ca.pem")
    assert FILE.validate_python("ca.pem") == Path("ca.pem")
    assert FILE.validate_python(Path("ca.pem")) == Path("ca.pem")
    with pytest.raises(ValidationError, match="is empty"):
        FILE.validate_python("")


@pytest.mark.parametrize("written", ["~/state", "~root/state", " ~/state"])
def test_a_tilde_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match=r"~ is not expanded; write the path in full"):
        FILE.validate_python(written)
    with pytest.raises(ValidationError) as caught:
        SECRET.validate_python(written)
    (error,) = caught.value.errors()
    assert "starts with ~, which is not expanded; write the path in full" in error["msg"]
    assert "state" not in error["msg"]


def test_credentials_come_from_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert SECRET.validate_python("credential:eab") == Path("/run/credentials/x/eab")


def test_a_command_uses_the_credentials_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    expected = Path("/run/credentials/gatecert.service/eab")
    assert SECRET.validate_python("credential:eab") == expected


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b", "a b"])
def test_credential_names_are_restricted(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a systemd credential"):
        SECRET.validate_python(f"credential:{name}")


def test_secret_files_are_paths() -> None:
    assert SECRET.validate_python(Written("hmac", HERE)) == HERE / "hmac"


@pytest.mark.parametrize("written", ["", None, 5, ["S3cr3t"], "-----BEGIN\nS3cr3t", "S3cr3t\0"])
def test_an_invalid_secret_file_is_not_repeated(written: object) -> None:
    with pytest.raises(ValidationError) as caught:
        SECRET.validate_python(written)
    (error,) = caught.value.errors()
    assert "S3cr3t" not in error["msg"]


def test_commands_are_lists() -> None:
    assert command(["systemctl", "reload", "ocserv"]) == ("systemctl", "reload", "ocserv")
    assert command(("/bin/true",)) == ("/bin/true",)
    assert command([]) == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("systemctl reload x", "run without a shell; write a list: [systemctl, reload, x]"),
        ("systemctl reload x && true", "put it into a script with #!/bin/sh, and write a list"),
        (
            ["touch /run/done"],
            "are one string, but commands run without a shell; write a list: [touch",
        ),
        ({"run": "x"}, "is not a list of arguments"),
        (None, "is not a list of arguments"),
        (["a", ["b"]], "is not a list of arguments"),
        (["a", None], "is not a list of arguments"),
        (["./reload"], '"./reload" is a relative path'),
        (["bin/reload"], "write the absolute path or a name on PATH"),
        ([""], "contains an empty program name or a NUL character"),
        (["a", "b\0"], "contains an empty program name or a NUL character"),
    ],
)
def test_other_commands_are_refused(written: object, said: str) -> None:
    with pytest.raises(BadValueError) as caught:
        command(written)
    assert said in str(caught.value)


@pytest.mark.parametrize("written", ["0640", "640", "0o640", 0o640])
def test_file_modes_are_octal(written: object) -> None:
    assert permissions(written) == 0o640


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("u=rw", "is not a file mode"),
        ("0999", "is not a file mode"),
        ("4755", "is not a file mode"),
        (True, "is not a file mode"),
        (None, "is not a file mode"),
        ("0666", "mode 0666 is not allowed"),
        ("0040", "mode 0040 is not allowed"),
        (0o4755, "mode 4755 is not allowed"),
    ],
)
def test_other_file_modes_are_refused(written: object, said: str) -> None:
    with pytest.raises(BadValueError, match=said):
        permissions(written)
