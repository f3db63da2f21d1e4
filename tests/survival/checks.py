"""Invariants that hold at every instant, and the check of recovery."""

from __future__ import annotations

import stat
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.survival.scene import VPN

from gatecert.custom.signing_requests import PREFIX as REQUESTED
from gatecert.model import Mode
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.survival.operations import Operation
    from tests.survival.scene import House, Scene

    from gatecert.model import Outcome

MOST_PASSES = 12
A_WHILE = timedelta(minutes=1)
MAY_BE_EMPTY = {"lock", "chain.pem", "bundle.pem"}


def served(scene: Scene) -> str | None:
    """Return the target of ``live`` or None, and check that it is one whole pair."""
    live = scene.gateway / "live"
    if not live.is_symlink():
        assert not live.exists()
        return None
    destination = live.readlink()
    assert destination.parts[0] == "versions"
    directory = scene.gateway / destination
    assert directory.is_dir(), f"live dangles: {destination}"
    key = load_pem_private_key((directory / "privkey.pem").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((directory / "cert.pem").read_bytes())
    assert key.public_key() == certificate.public_key()
    fullchain = (directory / "fullchain.pem").read_bytes()
    assert fullchain.startswith((directory / "cert.pem").read_bytes().strip())
    assert fullchain.split() == [
        *(directory / "cert.pem").read_bytes().split(),
        *(directory / "chain.pem").read_bytes().split(),
    ]
    return destination.name


def check_disk(scene: Scene) -> None:
    """Nothing is open to others, nothing empty or torn, and everything can be read."""
    for path, status in scene.files():
        if stat.S_ISLNK(status.st_mode):
            continue
        assert not stat.S_IMODE(status.st_mode) & 0o077, f"{path} is open to others"
        final = not any(part.startswith(".") for part in path.relative_to(scene.state).parts)
        if final and path.is_file() and path.suffix != ".lock" and path.name not in MAY_BE_EMPTY:
            assert status.st_size > 0, f"{path} is empty"
    for path in (scene.directory / "copies").iterdir():
        if b"PRIVATE KEY" in path.read_bytes():
            assert not path.stat().st_mode & 0o077, f"{path} is open to others"
    store = FileStore(scene.state)
    store.state(VPN)
    store.account("acme")
    names = {path.name for path in (scene.gateway / "versions").glob("[0-9]*")}
    assert {version.id for version in store.versions(VPN)} == names
    store.requests(VPN)
    assert not list(scene.state.rglob("*.damaged-*"))


def come_right(scene: Scene, house: House, operation: Operation) -> list[Outcome]:
    """Attend as the daemon would until everything is in order; the outcomes on the way."""
    outcomes: list[Outcome] = []
    for _ in range(MOST_PASSES):
        outcome = house.pipeline.attend(scene.target)
        outcomes.append(outcome)
        operation.finish(scene, house)
        if is_right(scene, house):
            break
        assert outcome.wake_at is not None
        scene.clock.time = max(scene.clock.time, outcome.wake_at)
    assert is_right(scene, house), "\n".join(str(outcome) for outcome in outcomes)
    scene.clock.time += A_WHILE
    house.pipeline.attend(scene.target)
    assert is_right(scene, house)
    return outcomes


def is_right(scene: Scene, house: House) -> bool:
    """Check that the newest certificate is in place and nothing is left to do."""
    current = house.pipeline.open(scene.target)
    inventory, deployment = current.inventory, current.deployer.deployment
    if inventory.live is None or deployment is None or deployment.confirmed is None:
        return False
    if inventory.live.summary.is_bootstrap:
        return False
    certificate = inventory.live.version.certificate
    if scene.target.mode is Mode.CUSTOM:
        return certificate == (scene.directory / "signed.pem").read_bytes()
    issued = list(scene.authority.issued.values())
    return len(issued) == scene.goal and certificate.strip() == issued[-1].strip()


def check_tidy(scene: Scene, house: House) -> None:
    """Nothing is left of what was interrupted."""
    house.solver.remove_leftovers()
    leftovers = [path for path in _everything(scene) if path.name.startswith((".tmp", ".trash"))]
    assert not leftovers
    assert house.store.state(VPN).enrolment.order is None
    keys = [request.id for request in house.store.requests(VPN)]
    assert not keys or all(key.startswith(REQUESTED) for key in keys)
    challenges = scene.state / "challenges"
    assert not challenges.exists() or not list(challenges.iterdir())
    assert not [path for path in (scene.directory / "webroot").rglob("*") if path.is_file()]
    # One more than wanted where pruning was interrupted: the next version takes it along.
    assert len(house.store.versions(VPN)) <= scene.target.install.keep_versions + 1


def _everything(scene: Scene) -> list[Path]:
    return sorted(scene.directory.rglob("*"))


def where(error: BaseException) -> str:
    """Return the failures and their lines."""
    lines = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return f"{' '.join(lines[-4:])} {error}"[:400]
