"""In place → reloaded → proven, for whatever a gateway's server reads.

There is one such path for the server's own certificate (``deployment``) and for the authorities of
its users (``admission``). Each writes down what is to come, puts it in place, and brings it up
here; when that fails, it brings up what was there before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatecert import container
from gatecert.deploy.reload import reload
from gatecert.deploy.reload_request import request_reload
from gatecert.errors import DeploymentError, MixedCertificatesError, NotServedError
from gatecert.model import Progress, Stage, Target, Verdict

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

END_THE_OTHER = "end the server that still serves the other certificate; no reload reaches it"


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that the server reads, and how to tell that it did.

    Attributes:
        name: What it is, as it follows "rolling back to".
        file: What the server has to read again, for the operator.
        live_version: Id of the version that ``live`` leads to, for the reload command.
        put: Puts it where the server reads it; DeploymentError or StorageError when it cannot.
        prove: Asks every listener until it serves it, or the time is up.
    """

    name: str
    file: str
    live_version: str
    put: Callable[[], object]
    prove: Callable[[], Verdict]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Brings up what was put in place.

    Attributes:
        progress: Told of each step.
        cancelled: Set when gatecert is stopping.
    """

    progress: Progress
    cancelled: threading.Event = field(default_factory=threading.Event)

    def bring_up(self, target: Target, directory: Path, piece: Piece) -> bool:
        """Make the server read a piece that is in place, and prove that it did.

        Args:
            target: The gateway.
            directory: ``STATE/gateways/<name>``.
            piece: What has to be served.

        Returns:
            Whether it is proven; False where there is no listener to ask.

        Raises:
            DeploymentError: The server does not serve it.
        """
        plan = target.install
        if plan.reload:
            self._tell(target, Stage.INSTALL, "reloading the gateway")
            result = reload(
                plan,
                gateway=target.name,
                hostname=target.hostname,
                live=directory / "live",
                version=piece.live_version,
                cancelled=self.cancelled,
            )
            logger.info("reloaded gateway=%s seconds=%.3f", target.name, result.seconds)
        else:
            request_reload(directory, piece.live_version)
        verdict = piece.prove()
        if not verdict.probes:
            return False
        if verdict.mixed:
            raise MixedCertificatesError(verdict.detail, fix=END_THE_OTHER)
        if not verdict.served:
            fix = (
                f"see that install.reload makes the gateway read {piece.file} again"
                if plan.reload
                else container.fix_for(
                    host="set install.reload, or let systemd reload it: see "
                    f"journalctl -u gatecert-reload@{target.name}",
                    container="let the gateway's container watch its volume, or set install.reload "
                    "to send the server a signal (docs/container.md)",
                )
            ) + "; into a container mount the directory, for a file mounted by itself never changes"
            raise NotServedError(verdict.detail, fix=fix)
        self._tell(target, Stage.VERIFY, verdict.detail)
        return True

    def put_back(self, target: Target, directory: Path, piece: Piece) -> str | None:
        """Put in place what was there before, and bring it up.

        Returns:
            Why that is not proven either; None when it is.
        """
        self._tell(target, Stage.INSTALL, f"rolling back to {piece.name}")
        try:
            piece.put()
            self.bring_up(target, directory, piece)
        except DeploymentError as error:
            return error.message
        return None

    def _tell(self, target: Target, stage: Stage, message: str) -> None:
        self.progress(target.name, stage, message)
