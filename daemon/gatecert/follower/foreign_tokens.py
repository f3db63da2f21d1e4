"""Challenge tokens of other hosts, which this host answers as well: the CA may reach any.

Tokens become files, from which every responder of the host answers, with or without the database.
While there are any, this process listens, unless the core has sockets of the service manager or a
web server answers. It shares the port with any other gatecert of the host, as two of those do: a
test response shows that they answer from the same files.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Final

from gatecert.challenge import webroot
from gatecert.challenge.http01 import KIND as HTTP_01
from gatecert.challenge.http01 import Http01Solver
from gatecert.challenge.solver import Challenge
from gatecert.errors import GatecertError, StateError
from gatecert.model import Identifier, IdentifierType
from gatecert.store.tokens import TokenFiles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gatecert.challenge.solver import Solver
    from gatecert.model.following import FollowingPlan
    from gatecert.store.postgres.token_rows import SharedToken

logger = logging.getLogger(__name__)

TLS_ALPN_01: Final = "tls-alpn-01"


class ForeignTokens:
    """Answers for other hosts until it is closed.

    Args:
        plan: Where this host answers.
        listening: Whether the core answers http-01 on inherited sockets.
    """

    def __init__(self, plan: FollowingPlan, *, listening: bool) -> None:
        self._plan = plan
        self._listening = listening
        self._files = TokenFiles(plan.state_directory)
        self._kept: dict[tuple[str, str], str] = {}
        self._refused: set[tuple[str, str]] = set()
        self._open: dict[str, tuple[Solver, Challenge]] = {}

    def keep(self, shared: Iterable[SharedToken]) -> list[SharedToken]:
        """Answer with these tokens of other hosts, and with no others any more.

        Args:
            shared: The tokens of all hosts. One that this host presents itself by now stays.

        Returns:
            Those that this host answers with, and has not acknowledged.
        """
        shared = list(shared)
        present = {(each.kind, each.token): each.key_authorization for each in shared}
        for key, key_authorization in list(self._kept.items()):
            if present.get(key) != key_authorization:
                self._remove(*key)
        self._refused &= present.keys()
        answered = [each for each in shared if each.is_foreign and self._add(each)]
        for kind in self._open.keys() - {kind for kind, _ in self._kept}:
            self._stop_listening(kind)
        return [each for each in answered if not each.is_acknowledged]

    def close(self) -> None:
        """Answer with no token of another host any more."""
        self.keep(())

    def _add(self, shared: SharedToken) -> bool:
        """Answer with a token; return whether this host does."""
        key = shared.kind, shared.token
        if key in self._kept:
            return True
        try:
            if not self._listen(shared.kind):
                return False
            self._files.put_token(*key, shared.key_authorization)
            self._kept[key] = shared.key_authorization
            if shared.kind == HTTP_01 and self._webroot is not None:
                webroot.publish(self._webroot, shared.token, shared.key_authorization)
        except (GatecertError, ValueError) as error:
            if key not in self._refused:
                self._refused.add(key)
                logger.warning(
                    "%s of another host cannot be answered here, so its validation fails if the CA "
                    "reaches this host: %s",
                    shared.kind,
                    error,
                )
            self._remove(*key)
            return False
        logger.debug("answering for another host kind=%s token=%s", *key)
        return True

    def _remove(self, kind: str, token: str) -> None:
        """Answer with a token no more, unless another process presents it by now."""
        key_authorization = self._kept.pop((kind, token), None)
        try:
            if key_authorization is None or self._files.token(kind, token) != key_authorization:
                return
            if kind == HTTP_01 and self._webroot is not None:
                webroot.withdraw(self._webroot, token)
            self._files.remove_token(kind, token)
        except StateError as error:
            logger.warning("cannot remove a token token=%s %s", token, error)

    # ------------------------------------------------------------------ listeners

    @property
    def _webroot(self) -> Path | None:
        return self._plan.http_01.webroot

    def _listen(self, kind: str) -> bool:
        """Listen for a challenge type; return whether this host answers it at all.

        Raises:
            ChallengeError: The port cannot be opened.
            StorageError: The test response cannot be stored.
        """
        if kind == HTTP_01 and (self._listening or self._webroot is not None):
            return True
        if kind not in self._open:
            solver = self._solver(kind)
            if solver is None:
                return False
            token = secrets.token_hex(16)
            identifier = Identifier(IdentifierType.DNS, f"{token}.invalid")
            test = Challenge(kind, identifier, token, f"{token}.other-hosts")
            solver.present(test)
            self._open[kind] = solver, test
        return True

    def _solver(self, kind: str) -> Solver | None:
        if kind == HTTP_01:
            return Http01Solver(self._plan.http_01, self._files)
        if kind != TLS_ALPN_01 or self._plan.tls_alpn_01 is None:
            return None
        from gatecert.challenge.tls_alpn01 import TlsAlpn01Solver  # noqa: PLC0415 - OpenSSL is large

        return TlsAlpn01Solver(self._plan.tls_alpn_01, self._files)

    def _stop_listening(self, kind: str) -> None:
        solver, test = self._open.pop(kind)
        solver.clean_up(test)
