"""A gateway with a real store and a real ACME client, in processes that can be killed at any step.

What is real: the store and every file it writes, keys, certificates and their checks, the whole
ACME client above its transport, http-01 responses below a document root, reload commands, forked
processes and SIGKILL. What is played: the authority, which lives in the parent, so that its orders
are counted across a death; the resolver; the clock.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import signal
import warnings
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fakes.acme_server import BASE, DIRECTORY_URL, FakeAuthority, Request, answer
from tests.fakes.clock import NOW, Clock
from tests.fakes.pki import dns, unsigned
from tests.fakes.resolver import HERE, Names
from tests.fakes.root_authority import RootAuthority

from gatecert.acme.client import Client
from gatecert.acme.issuer import Issuer
from gatecert.challenge.http01 import Http01Solver
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.config.schema.challenge import Http01Settings
from gatecert.deadline import Deadline
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import Target
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from gatecert.acme.transport import Sender
    from gatecert.challenge.solver import Challenge
    from gatecert.http.fetcher import Response

VPN = "vpn"
HOSTNAME = "vpn.example.com"
SETTINGS = AuthoritySettings(name="acme", directory_url=DIRECTORY_URL, terms_of_service_agreed=True)
LIFETIME = timedelta(days=90)

Point = tuple[str, str]


class Authority(FakeAuthority):
    """Remembers orders as Boulder does: an open one for the same names is given out again.

    Attributes:
        placed: Orders that were made.
        issued: Certificates (PEM, the leaf first) by the number of their order.
    """

    def __init__(self, root: RootAuthority, clock: Clock) -> None:
        super().__init__(root)
        self.clock = clock
        self.placed = 0
        self.issued: dict[str, bytes] = {}

    def remember(self) -> object:
        """Everything that an operation may change."""
        return copy.deepcopy((self.accounts, self.orders, self.placed, self.issued))

    def recall(self, memory: object) -> None:
        """As it was when that was remembered."""
        self.accounts, self.orders, self.placed, self.issued = copy.deepcopy(memory)  # type: ignore[misc] # by remember

    def _new_order(self, request: Request) -> Response:
        names = [each["value"] for each in (request.payload or {})["identifiers"]]
        for number, order in self.orders.items():
            if order["names"] == names and order["status"] in {"pending", "ready"}:
                location = {"Location": f"{BASE}/order/{number}"}
                return answer(201, self._order_object(number), location)
        self.placed += 1
        return super()._new_order(request)

    def _certificate(self, request: Request) -> Response:
        number = request.path.split("/")[2]
        if number not in self.issued:
            self.issued[number] = self._sign(self.orders[number]["csr"])
        return answer(200, self.issued[number] + self.root.pem)

    def _finalize(self, request: Request) -> Response:
        response = super()._finalize(request)
        self._certificate(request)
        return response

    def _renewal_info(self, _: Request) -> Response:
        return answer(404, b"")

    def _sign(self, csr_der: bytes) -> bytes:
        csr = x509.load_der_x509_csr(csr_der)
        builder = unsigned(
            x509.Name([]),
            self.root.name,
            csr.public_key(),
            begin=self.clock() - timedelta(hours=1),
            end=self.clock() - timedelta(hours=1) + LIFETIME,
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root.key.public_key())
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, critical=True)
        builder = builder.add_extension(issuer, critical=False)
        return builder.sign(self.root.key, hashes.SHA256()).public_bytes(Encoding.PEM)


class PromptSolver(Http01Solver):
    """Does not wait to see whether the authority has fetched a file from the web server."""

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        return bool(challenge.token) and seconds >= 0


class Wire:
    """A transport to an authority in the parent process, with two steps of its own a request."""

    def __init__(self, connection: Connection, reached: Callable[[str, object], None]) -> None:
        self._connection = connection
        self._reached = reached

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        assert not deadline.passed
        self._reached("send", url)
        self._connection.send((method, url, body))
        response: Response = self._connection.recv()
        self._reached("receive", url)
        return response


@dataclass
class House:
    """Everything that one process has."""

    store: FileStore
    solver: PromptSolver
    pipeline: Pipeline


@dataclass
class Scene:
    """One gateway, its authority, and its files below one directory.

    Attributes:
        directory: Has ``state``, ``webroot`` and whatever an operation puts there.
        goal: How many certificates the authority will have issued when all is right.
    """

    directory: Path
    goal: int = 1
    target: Target = field(
        default_factory=lambda: Target(
            name=VPN,
            identifiers=dns(HOSTNAME),
            display_name=HOSTNAME,
            addresses=(HERE,),
            authorities=("acme",),
        )
    )

    def __post_init__(self) -> None:
        self.clock = Clock(NOW)
        self.authority = Authority(RootAuthority(), self.clock)
        self.names = Names()
        for name in ("state", "webroot", "copies"):
            (self.directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def gateway(self) -> Path:
        return self.state / "gateways" / VPN

    def house(self, transport: Sender | None = None) -> House:
        """The parts of a process at its start."""
        store = FileStore(self.state)
        settings = Http01Settings(listen=(), webroot=self.directory / "webroot")
        solver = PromptSolver(settings, store)
        client = Client(
            "acme", DIRECTORY_URL, transport=transport or self.authority, now=self.clock
        )
        pipeline = Pipeline(
            store=store,
            resolver=self.names,
            authorities={"acme": Issuer(SETTINGS, store, {"http-01": solver}, client=client)},
            progress=lambda *_: None,
            now=self.clock,
            random=random.Random(1),
        )
        return House(store, solver, pipeline)

    def save(self, copy_of: Path) -> Callable[[], None]:
        """Keep everything as it is now, and say how to have it again."""
        shutil.copytree(self.directory, copy_of, symlinks=True)
        memory, time, target = self.authority.remember(), self.clock.time, self.target

        def restore() -> None:
            shutil.rmtree(self.directory)
            shutil.copytree(copy_of, self.directory, symlinks=True)
            self.authority.recall(memory)
            self.clock.time, self.target = time, target

        return restore

    def files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Everything below the state directory, links included, with what lstat(2) says."""
        for path in sorted(self.state.rglob("*")):
            yield path, path.lstat()


def killed_at(number: int, scene: Scene, work: Callable[[House], object]) -> list[Point] | None:
    """Run ``work`` in a process that is killed just before its n-th step.

    Returns:
        The steps it took, if it came to its end; None if it was killed.
    """
    ours, theirs = Pipe()
    with warnings.catch_warnings():
        # The child only makes system calls, so threads of the parent do not matter.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover - leaves without telling
        ours.close()
        _live_until(number, scene, work, theirs)
    theirs.close()
    points = _serve(scene.authority, ours)
    ours.close()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}, "the work itself failed"
    return points if code == 0 else None


def _live_until(  # pragma: no cover - ends without telling
    number: int, scene: Scene, work: Callable[[House], object], connection: Connection
) -> None:
    points: list[Point] = []

    def reach(name: str, where: object) -> None:
        if len(points) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        points.append((name, str(where)))

    code = 1
    try:
        os.umask(0)  # nothing may depend on a careful one
        durable.on_step = reach
        work(scene.house(Wire(connection, reach)))
        connection.send(points)
        code = 0
    finally:
        os._exit(code)


def _serve(authority: Authority, connection: Connection) -> list[Point]:
    """Answer a child's requests until it has ended; what it says last."""
    points: list[Point] = []
    while True:
        try:
            message: Any = connection.recv()
        except (EOFError, ConnectionResetError):
            return points
        if isinstance(message, list):
            points = message
            continue
        method, url, body = message
        connection.send(authority.send(method, url, deadline=Deadline.after(60), body=body))
