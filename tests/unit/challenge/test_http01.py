from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.fakes.loopback import LOOPBACK, fetch, free_port
from tests.fakes.token_store import Tokens

from gatecert.challenge.http01 import Http01Solver
from gatecert.challenge.http_responder import PREFIX
from gatecert.challenge.solver import Challenge, LeftoverCleaner, SelfTestingSolver
from gatecert.config.schema.challenge import Http01Settings
from gatecert.deadline import Deadline
from gatecert.errors import AddressInUseError, ChallengeError, StorageError
from gatecert.model import Endpoint, Identifier, IdentifierType
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn


def challenge(name: str = "abc") -> Challenge:
    identifier = Identifier(IdentifierType.DNS, "vpn.example.com")
    return Challenge("http-01", identifier, name, f"{name}.thumbprint")


def is_listening(endpoint: Endpoint) -> bool:
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def solver(endpoint: Endpoint, tokens: Tokens) -> Http01Solver:
    return Http01Solver(Http01Settings(listen=(endpoint,)), tokens)


def test_hosts_that_do_not_answer_are_named(
    tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.put_token("http-01", "abc", "abc.thumbprint")
    tokens.missing = ("gw-b", "gw-c")
    Http01Solver(Http01Settings(), tokens).wait(challenge(), Deadline.after(1))
    (line,) = caplog.messages
    assert line.startswith("hosts that do not answer http-01 for vpn.example.com: gw-b, gw-c;")


@pytest.mark.enable_socket
def test_the_response_is_served_from_present_to_clean_up(
    solver: Http01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    assert not is_listening(endpoint)

    solver.present(challenge())
    solver.wait(challenge(), Deadline.after(1))
    assert fetch(endpoint, f"{PREFIX}abc")[:2] == (200, b"abc.thumbprint")
    assert fetch(endpoint, f"{PREFIX}abd")[0] == 404

    solver.clean_up(challenge())
    assert not is_listening(endpoint)
    assert tokens.kept == {}


@pytest.mark.enable_socket
def test_the_response_is_served_within_milliseconds(solver: Http01Solver) -> None:
    started = time.perf_counter()
    solver.present(challenge())
    elapsed = time.perf_counter() - started
    solver.clean_up(challenge())

    assert elapsed < 0.1  # measured: 1 ms; allows for a busy machine


@pytest.mark.enable_socket
def test_one_responder_serves_all_challenges_until_the_last_ends(
    solver: Http01Solver, endpoint: Endpoint
) -> None:
    solver.present(challenge("one"))
    solver.present(challenge("two"))
    solver.clean_up(challenge("one"))

    assert fetch(endpoint, f"{PREFIX}one")[0] == 404
    assert fetch(endpoint, f"{PREFIX}two")[0] == 200
    solver.clean_up(challenge("two"))
    assert not is_listening(endpoint)


@pytest.mark.enable_socket
def test_both_address_families_are_served(tokens: Tokens) -> None:
    port = free_port()
    endpoints = (Endpoint("::1", port), Endpoint(LOOPBACK, port))
    solver = Http01Solver(Http01Settings(listen=endpoints), tokens)
    solver.present(challenge())

    assert [fetch(each, f"{PREFIX}abc")[0] for each in endpoints] == [200, 200]
    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_wait_for_request_returns_once_the_response_is_fetched(
    solver: Http01Solver, endpoint: Endpoint
) -> None:
    solver.present(challenge())
    assert not solver.wait_for_request(challenge(), 0.01)
    visit = threading.Timer(0.05, fetch, (endpoint, f"{PREFIX}abc"))
    visit.start()

    started = time.monotonic()
    assert solver.wait_for_request(challenge(), 10)
    assert time.monotonic() - started < 5
    visit.join()
    solver.clean_up(challenge())
    assert not solver.wait_for_request(challenge(), 10)


@pytest.mark.enable_socket
def test_clean_up_may_be_repeated_or_called_without_present(solver: Http01Solver) -> None:
    solver.clean_up(challenge())
    solver.present(challenge())
    solver.clean_up(challenge())
    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_a_command_beside_the_daemon_shares_the_port(
    solver: Http01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    beside = Http01Solver(Http01Settings(listen=(endpoint,)), tokens)
    solver.present(challenge("daemon"))
    beside.present(challenge("command"))

    for _ in range(10):  # the kernel picks either listener
        assert fetch(endpoint, f"{PREFIX}daemon")[0] == 200
        assert fetch(endpoint, f"{PREFIX}command")[0] == 200
    solver.clean_up(challenge("daemon"))
    assert fetch(endpoint, f"{PREFIX}command")[0] == 200
    beside.clean_up(challenge("command"))
    assert not is_listening(endpoint)


@pytest.mark.enable_socket
def test_a_gatecert_with_another_state_directory_does_not_share_the_port(
    solver: Http01Solver, endpoint: Endpoint
) -> None:
    other = Http01Solver(Http01Settings(listen=(endpoint,)), Tokens())
    solver.present(challenge())

    with pytest.raises(AddressInUseError):
        other.present(challenge("other"))

    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_a_port_in_use_leaves_no_token(
    solver: Http01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    with socket.create_server((endpoint.host, endpoint.port)), pytest.raises(AddressInUseError):
        solver.present(challenge())

    assert tokens.kept == {}
    solver.present(challenge())
    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_a_token_that_cannot_be_removed_is_only_logged(
    solver: Http01Solver,
    endpoint: Endpoint,
    tokens: Tokens,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stuck(*_: str) -> None:
        raise StorageError("read-only file system")

    monkeypatch.setattr(tokens, "remove_token", stuck)
    solver.present(challenge())
    solver.clean_up(challenge())

    assert "read-only file system" in caplog.text
    assert not is_listening(endpoint)


@pytest.mark.enable_socket
def test_a_response_that_cannot_be_stored_is_not_presented(
    solver: Http01Solver, endpoint: Endpoint, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(tokens, "put_token", full)

    with pytest.raises(StorageError):
        solver.present(challenge())

    assert not is_listening(endpoint)


# --------------------------------------------------------------------------- webroot


@pytest.fixture
def webroot_solver(tokens: Tokens, tmp_path: Path) -> Http01Solver:
    return Http01Solver(Http01Settings(webroot=tmp_path), tokens)


def test_webroot_files_are_written_and_removed(
    webroot_solver: Http01Solver, tmp_path: Path
) -> None:
    directory = tmp_path / ".well-known/acme-challenge"
    webroot_solver.present(challenge())

    (file,) = directory.iterdir()
    assert file.name == "abc"
    assert file.read_text() == "abc.thumbprint"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert not webroot_solver.wait_for_request(challenge(), 0)
    webroot_solver.clean_up(challenge())
    assert list(directory.iterdir()) == []


def test_an_unwritable_webroot_is_an_error(tokens: Tokens, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no directory")
    solver = Http01Solver(Http01Settings(webroot=file), tokens)

    with pytest.raises(ChallengeError, match="cannot be written: Not a directory"):
        solver.present(challenge())

    assert tokens.kept == {}


def test_files_of_crashed_processes_are_removed(
    webroot_solver: Http01Solver, tokens: Tokens, tmp_path: Path
) -> None:
    directory = tmp_path / ".well-known/acme-challenge"
    for name in ("gone", "mine"):
        webroot_solver.present(challenge(name))
    tokens.abandoned.add("gone")
    assert isinstance(webroot_solver, LeftoverCleaner)

    webroot_solver.remove_leftovers()
    assert [file.name for file in directory.iterdir()] == ["mine"]
    assert tokens.kept == {"mine": "mine.thumbprint"}


def test_the_next_challenge_removes_them_too(
    webroot_solver: Http01Solver, tokens: Tokens, tmp_path: Path
) -> None:
    webroot_solver.present(challenge("gone"))
    webroot_solver.present(challenge("mine"))
    tokens.abandoned.add("gone")

    webroot_solver.clean_up(challenge("mine"))

    assert list((tmp_path / ".well-known/acme-challenge").iterdir()) == []
    assert tokens.kept == {}


def test_removing_a_file_is_retried(
    webroot_solver: Http01Solver, tokens: Tokens, tmp_path: Path
) -> None:
    tokens.put_token("http-01", "gone", "gone.key")
    tokens.abandoned.add("gone")
    (tmp_path / ".well-known/acme-challenge/gone").mkdir(parents=True)

    webroot_solver.remove_leftovers()

    assert tokens.kept == {"gone": "gone.key"}


def test_unreadable_tokens_are_logged(
    webroot_solver: Http01Solver,
    tokens: Tokens,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: str) -> NoReturn:
        raise StorageError("disk broken")

    monkeypatch.setattr(tokens, "abandoned_tokens", broken)
    webroot_solver.remove_leftovers()
    assert "disk broken" in caplog.text


def test_a_file_that_cannot_be_removed_keeps_its_token(
    webroot_solver: Http01Solver,
    tokens: Tokens,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webroot_solver.present(challenge("one"))

    def refuse(name: str, path: Path) -> None:
        if name == "remove":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(durable, "on_step", refuse)
    webroot_solver.clean_up(challenge("one"))
    assert (tmp_path / ".well-known/acme-challenge/one").exists()
    assert tokens.token("http-01", "one") is not None
    monkeypatch.undo()
    webroot_solver.remove_leftovers()
    assert not (tmp_path / ".well-known/acme-challenge/one").exists()
    assert tokens.token("http-01", "one") is None


def test_abandoned_tokens_are_removed_without_a_webroot(tokens: Tokens) -> None:
    solver = Http01Solver(Http01Settings(), tokens)
    tokens.put_token("http-01", "gone", "gone.key")
    tokens.abandoned.add("gone")
    solver.remove_leftovers()
    assert tokens.kept == {}


# --------------------------------------------------------------------------- self-test


@pytest.mark.enable_socket
def test_a_self_test_leaves_nothing_behind(
    solver: Http01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    assert isinstance(solver, SelfTestingSolver)
    assert solver.self_test() == ()
    assert solver.self_test(["vpn.example.com"]) == ()
    assert not is_listening(endpoint)
    assert tokens.kept == {}


@pytest.mark.enable_socket
def test_a_self_test_names_the_process_on_the_port(
    solver: Http01Solver, endpoint: Endpoint
) -> None:
    with (
        socket.create_server((endpoint.host, endpoint.port)),
        pytest.raises(AddressInUseError, match=str(endpoint)),
    ):
        solver.self_test()


@pytest.mark.enable_socket
def test_a_self_test_does_not_disturb_a_validation(
    solver: Http01Solver, endpoint: Endpoint
) -> None:
    solver.present(challenge())
    assert solver.self_test(["vpn.example.com"]) == ()
    assert fetch(endpoint, f"{PREFIX}abc")[0] == 200
    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_a_self_test_writes_nothing_while_the_responder_answers(
    solver: Http01Solver, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver.present(challenge())
    written: list[str] = []
    monkeypatch.setattr(tokens, "put_token", lambda _, token, __: written.append(token))

    assert solver.self_test() == ()
    assert written == []
    solver.clean_up(challenge())


@pytest.mark.enable_socket
def test_a_self_test_skips_addresses_that_this_host_lacks(
    endpoint: Endpoint, tokens: Tokens
) -> None:
    elsewhere = Endpoint("192.0.2.1", endpoint.port)
    solver = Http01Solver(Http01Settings(listen=(elsewhere, endpoint)), tokens)
    assert solver.self_test(["vpn.example.com"]) == ()


class ForgetfulTokens(Tokens):
    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        super().put_token(kind, token, f"not {key_authorization}")


@pytest.mark.enable_socket
def test_a_test_response_that_cannot_be_fetched_is_reported(endpoint: Endpoint) -> None:
    solver = Http01Solver(Http01Settings(listen=(endpoint,)), ForgetfulTokens())
    assert solver.self_test() == ()
    (complaint,) = solver.self_test(["vpn.example.com"])
    assert complaint.endswith(f"cannot be fetched from http://{endpoint}")


@pytest.mark.enable_socket
def test_a_self_test_of_a_webroot_fetches_by_name(tokens: Tokens, tmp_path: Path) -> None:
    solver = Http01Solver(Http01Settings(webroot=tmp_path), tokens)
    assert solver.self_test() == ()
    (complaint,) = solver.self_test([LOOPBACK])
    assert complaint.endswith(f"from http://{LOOPBACK}:80")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
