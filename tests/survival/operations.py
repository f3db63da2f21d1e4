"""The interrupted operations: each way to change a gateway's certificate, with its set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.fakes.custom_office import SINGLE, Office
from tests.survival.scene import VPN, House, Scene

from gatecert.model import FileContents, FileCopy, InstallPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.certificate.upload import Upload

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Operation:
    """One way in which the certificate changes.

    Attributes:
        arrange: Brings about the beginning.
        carry_out: What is interrupted.
        finish: What a person does again afterwards, if it did not come to its end.
        orders: How many orders it may cost in all.
    """

    name: str
    arrange: Callable[[Scene], None]
    carry_out: Callable[[Scene, House], object]
    finish: Callable[[Scene, House], object] = lambda _scene, _house: None
    orders: int = 1

    def __str__(self) -> str:
        return self.name


def attend(scene: Scene, house: House) -> object:
    return house.pipeline.attend(scene.target)


# --------------------------------------------------------------------- bootstrap, enrolment


def _empty(scene: Scene) -> None:
    scene.state.rmdir()


def _bootstrapped(scene: Scene) -> None:
    scene.house().pipeline.prepare(scene.target)


def _prepare(scene: Scene, house: House) -> object:
    return house.pipeline.prepare(scene.target)


# --------------------------------------------------------------------- renewal, roll-back


def _copies(scene: Scene) -> tuple[FileCopy, ...]:
    directory = scene.directory / "copies"
    return (
        FileCopy(directory / "combined.pem", FileContents.COMBINED),
        FileCopy(directory / "cert.pem", FileContents.CERT, mode=0o644),
    )


def _reload_command(scene: Scene) -> tuple[str, ...]:
    """Takes the version that is live now, and others only once ``allowed`` exists."""
    path, known = scene.directory / "reload", scene.directory / "known"
    if not known.exists():
        known.write_text(str((scene.gateway / "live").readlink()))
    allowed = scene.directory / "allowed"
    wanted = f'[ "$(readlink {scene.gateway / "live"})" = "$(cat {known})" ]'
    path.write_text(f"#!/bin/sh\n{wanted} || [ -e {allowed} ]\n")
    path.chmod(0o755)
    return (str(path),)


def _due(scene: Scene) -> None:
    """Enrolled and renewed, so that the next version makes the first one superfluous."""
    plan = InstallPlan(copy_to=_copies(scene), keep_versions=2)
    scene.target = replace(scene.target, install=plan)
    for _ in range(2):
        attend(scene, scene.house())
        scene.clock.time += 61 * DAY


def _due_where_nothing_new_is_taken(scene: Scene) -> None:
    attend(scene, scene.house())
    scene.clock.time += 61 * DAY
    plan = InstallPlan(copy_to=_copies(scene), reload=_reload_command(scene))
    scene.target = replace(scene.target, install=plan)


def allow(scene: Scene) -> None:
    """From now on the gateway takes whatever it is given."""
    (scene.directory / "allowed").touch()


# --------------------------------------------------------------------- import


def _uploads(scene: Scene) -> Sequence[Upload]:
    office = Office(scene.state, replace(SINGLE, name=VPN), now=scene.clock())
    file = scene.directory / "signed.pem"
    if not file.exists():
        signed = office.sign(office.csr())
        file.write_bytes(signed)
        (scene.directory / "chain.pem").write_bytes(office.chain)
    return office.uploads(file.read_bytes(), (scene.directory / "chain.pem").read_bytes())


def _requested(scene: Scene) -> None:
    scene.target = replace(SINGLE, name=VPN)
    scene.house().pipeline.prepare(scene.target)
    attend(scene, scene.house())
    _uploads(scene)


def _bring(scene: Scene, house: House) -> object:
    return house.pipeline.import_certificate(scene.target, _uploads(scene), wait=0)


BOOTSTRAP = Operation("bootstrap", _empty, _prepare)
ENROLMENT = Operation("first enrolment", _bootstrapped, attend)
RENEWAL = Operation("renewal", _due, attend)
ROLL_BACK = Operation("roll-back", _due_where_nothing_new_is_taken, attend)
IMPORT = Operation("import", _requested, _bring, finish=_bring, orders=0)

OPERATIONS = (BOOTSTRAP, ENROLMENT, RENEWAL, ROLL_BACK, IMPORT)
