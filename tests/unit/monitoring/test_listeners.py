"""Listeners that follow the configuration, and that are tried again."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki
from tests.fakes.web_clients import LAST_GET, answer, echo

from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Request, Response
from gatecert.monitoring.listeners import Listeners, WantedListener

if TYPE_CHECKING:
    from collections.abc import Iterator

PKI = Pki()
PAIR = PKI.issue("listener")
OPEN = WebAccess()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def other(request: Request) -> Response:  # noqa: ARG001 - a handler
    return Response(b"other")


def page(path: Path, access: WebAccess = OPEN) -> WantedListener:
    return WantedListener("page", f"unix:{path}", access, echo)


async def body(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(LAST_GET)
    data = await reader.read()
    writer.close()
    return answer(data).body


def test_what_is_wanted_is_opened_and_the_rest_is_closed(directory: Path) -> None:
    async def run() -> None:
        listeners = Listeners(pause=0)
        one, two = directory / "one", directory / "two"
        await listeners.keep([page(one)])
        assert await body(one) == b"/ {}"
        await listeners.keep([page(two), replace(page(one), handler=other)])
        assert await body(one) == b"other"
        assert await body(two) == b"/ {}"
        assert [each.address for each in listeners.statuses()] == [f"unix:{two}", f"unix:{one}"]
        await listeners.keep([page(two)])
        assert not one.exists()
        await listeners.close()
        assert not two.exists()
        assert listeners.statuses() == ()

    asyncio.run(run())


def test_another_handler_keeps_the_connections(directory: Path) -> None:
    async def run() -> bytes:
        listeners = Listeners(pause=0)
        path = directory / "one"
        await listeners.keep([page(path)])
        reader, writer = await asyncio.open_unix_connection(str(path))
        await listeners.keep([replace(page(path), handler=other)])
        writer.write(LAST_GET)
        data = await reader.read()
        writer.close()
        await listeners.close()
        return answer(data).body

    assert asyncio.run(run()) == b"other"


def test_one_that_cannot_be_opened_is_a_problem_until_it_can(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def run() -> None:
        listeners = Listeners(pause=0)
        path = directory / "later" / "one"
        await listeners.keep([page(path), page(directory / "two")])
        missing, good = listeners.statuses()
        assert missing.problem == f"there is no directory {path.parent}"
        assert "page.listen" in missing.fix
        assert not good.problem
        assert listeners.has_problems
        await listeners.retry()
        path.parent.mkdir()
        await listeners.retry()
        assert not listeners.has_problems
        assert await body(path) == b"/ {}"
        await listeners.close()

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def tls(directory: Path) -> WebAccess:
    return WebAccess(certificate=str(directory / "cert"), key=str(directory / "key"))


def test_a_listener_waits_for_its_certificate(directory: Path) -> None:
    async def run() -> None:
        listeners = Listeners(pause=0)
        path = directory / "one"
        await listeners.keep([page(path, tls(directory))])
        (status,) = listeners.statuses()
        assert status.problem == f"there is no file {directory}/cert"
        assert not path.exists()
        (directory / "cert").write_bytes(PAIR.pem)
        (directory / "key").write_bytes(PAIR.key_pem)
        await listeners.retry()
        assert not listeners.has_problems
        assert path.exists()
        await listeners.close()

    asyncio.run(run())


def test_other_access_opens_it_anew(directory: Path) -> None:
    async def run() -> None:
        listeners = Listeners(pause=0)
        path = directory / "one"
        await listeners.keep([page(path)])
        (directory / "cert").write_bytes(PAIR.pem)
        (directory / "key").write_bytes(PAIR.key_pem)
        await listeners.keep([page(path, tls(directory))])
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(LAST_GET)
        assert not (await reader.read()).startswith(b"HTTP/")
        writer.close()
        await listeners.close()

    asyncio.run(run())


def test_a_bad_renewal_is_told_when_a_client_meets_it(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes: list[str] = []

    async def run() -> None:
        listeners = Listeners(changed=lambda: changes.append(""))
        path = directory / "one"
        (directory / "cert").write_bytes(PAIR.pem)
        (directory / "key").write_bytes(PAIR.key_pem)
        await listeners.keep([page(path, tls(directory))])
        (directory / "key").write_bytes(b"")
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"x" * 20)
        await reader.read()
        writer.close()
        assert listeners.has_problems
        await listeners.close()

    asyncio.run(run())
    assert changes == [""]
    assert len(caplog.messages) == 1
    assert "are not a certificate and a key that can be used" in caplog.messages[0]


def test_it_is_not_tried_again_at_once(directory: Path) -> None:
    async def run() -> bool:
        listeners = Listeners()
        path = directory / "later" / "one"
        await listeners.keep([page(path)])
        path.parent.mkdir()
        await listeners.retry()
        failed_still = listeners.has_problems
        await listeners.keep([page(path)])
        assert not listeners.has_problems
        await listeners.close()
        return failed_still

    assert asyncio.run(run())
