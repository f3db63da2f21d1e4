"""One gateway with a real store, a real pipeline and real commands; authority and DNS are fakes."""

from __future__ import annotations

import errno
import os
import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509
from tests.fakes.clock import Clock
from tests.fakes.played_authority import PlayedAuthority
from tests.fakes.resolver import HERE, Names

from gatecert.errors import InterruptedOrderError
from gatecert.lifecycle.gateway_pass import Occasion, Pass
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import (
    Identifier,
    IdentifierType,
    InstallPlan,
    IssuedChain,
    Message,
    Origin,
    Stage,
    Target,
)
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.doctor.finding import Code, Finding
    from gatecert.model import Outcome


HOSTNAME = "vpn.example.com"


class Obstacle:
    """An obstacle to orders while it has a code."""

    def __init__(self, code: Code) -> None:
        self.code: Code | None = code
        self.asked: list[tuple[str, StoredCertificate | None]] = []

    def __call__(
        self, target: Target, authority: str, in_use: StoredCertificate | None
    ) -> Finding | None:
        self.asked.append((authority, in_use))
        return self.code.found("seen", gateway=target.name) if self.code is not None else None


class World:
    """A pipeline over a real store, and everything it deals with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.names = Names()
        self.authority = PlayedAuthority(self.clock)
        self.store = FileStore(directory / "state")
        self.told: list[str] = []
        self.waits: list[str] = []
        self.cancelled = threading.Event()
        self.target = Target(
            name="vpn",
            identifiers=(Identifier(IdentifierType.DNS, HOSTNAME),),
            display_name=HOSTNAME,
            addresses=(HERE,),
            authorities=("missing", "played"),
        )
        self.pipeline = self.new_pipeline()

    def new_pipeline(self) -> Pipeline:
        """As after a restart of the process."""
        return Pipeline(
            store=self.store,
            resolver=self.names,
            authorities={"played": self.authority},
            progress=self._tell,
            now=self.clock,
            cancelled=self.cancelled,
            random=random.Random(1),
        )

    def obstruct(self, obstacle: Obstacle) -> Obstacle:
        """As after a restart, with something in the way."""
        self.pipeline = replace(self.new_pipeline(), obstacles=obstacle)
        return obstacle

    @property
    def current(self) -> Pass:
        """A pass that has just begun: it reads what is on the disk now."""
        return self.pipeline.open(self.target)

    def plan(self, **plan: object) -> None:
        self.target = replace(self.target, install=InstallPlan(**plan))  # type: ignore[arg-type] # names of fields

    def script(self, text: str) -> tuple[str, ...]:
        """A reload command."""
        path = self.directory / "reload"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return (str(path),)

    def attend(self, **occasion: object) -> Outcome:
        return self.pipeline.attend(self.target, Occasion(**occasion))  # type: ignore[arg-type] # names of fields

    def keep_unsettled(self) -> StoredCertificate:
        """A certificate that reached the disk just before a crash: its order is not settled yet."""
        self.authority.trouble = InterruptedOrderError("leaving")
        self.attend()
        self.authority.trouble = None
        state = self.store.state("vpn")
        assert state.enrolment.order is not None
        (request,) = self.store.requests("vpn")
        issued = IssuedChain(
            request.private_key,
            self.authority.sign(request.csr),
            b"",
            Origin.AUTHORITY,
            authority="played",
            order_url=state.enrolment.order.url,
        )
        return self.current.keep(issued)

    def later(self, wait: timedelta) -> None:
        self.clock.time += wait

    @property
    def live(self) -> x509.Certificate:
        path = self.store.gateway_directory("vpn") / "live" / "cert.pem"
        return x509.load_pem_x509_certificate(path.read_bytes())

    @property
    def serves_bootstrap(self) -> bool:
        return self.live.issuer == self.live.subject

    def _tell(self, gateway: str, stage: Stage, message: Message) -> None:
        (self.told if isinstance(message, str) else self.waits).append(
            f"{gateway} {stage} {message}"
        )


class Disk:
    """Full from the moment it is said to be."""

    full = False

    def __call__(self, name: str, path: Path) -> None:
        if self.full and name == "create":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
