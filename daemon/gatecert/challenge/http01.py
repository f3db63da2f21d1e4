"""http-01: the authority fetches a response over port 80 (RFC 8555 section 8.3).

One responder serves all gateways that validate at the same time. It listens from the first
presented response until the last one is removed. It answers from the token store, so the daemon and
a command can listen at the same time and answer for each other. With ``webroot``, an existing web
server answers from files that gatecert writes; files left by a crash are removed with the next
challenge. If systemd has opened the port, one responder answers permanently
(``challenge.socket_activation``).
"""

from __future__ import annotations

import logging
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gatecert.challenge import webroot
from gatecert.challenge.http_responder import http_responder
from gatecert.challenge.listening import ListenPlace, is_local_address, listen, serves_token
from gatecert.challenge.other_hosts import wait_for_hosts
from gatecert.challenge.solver import Challenge
from gatecert.errors import StateError
from gatecert.model import Endpoint, Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.challenge.bounded_server import BoundedServer
    from gatecert.challenge.socket_activation import FetchNotices
    from gatecert.deadline import Deadline
    from gatecert.store.protocol import TokenStore

logger = logging.getLogger(__name__)

KIND = "http-01"
HTTP_PORT = 80


class ResponsePlace(ListenPlace, Protocol):
    """Settings of http-01."""

    @property
    def webroot(self) -> Path | None:
        """The directory of the web server that answers; None to listen."""
        ...


class Http01Solver:
    """Presents http-01 responses; safe to use from several threads.

    Args:
        settings: The addresses to listen on, or the webroot.
        tokens: Keeps responses while they are presented.
        activated: Answers on sockets from systemd; the configured addresses are not used then.
    """

    def __init__(
        self,
        settings: ResponsePlace,
        tokens: TokenStore,
        activated: FetchNotices | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._activated = activated
        self._lock = threading.Lock()
        self._presented: dict[str, threading.Event] = {}
        self._leftovers: set[str] = set()
        self._responder: BoundedServer | None = None

    def present(self, challenge: Challenge) -> None:
        """Make the response available.

        Raises:
            AddressInUseError: Another program listens on the port.
            ChallengeError: The port cannot be opened, or the file cannot be written.
            StorageError: The response cannot be stored.
        """
        self._tokens.put_token(KIND, challenge.token, challenge.key_authorization)
        with self._lock:
            try:
                self._publish(challenge)
            except BaseException:
                self._remove(challenge.token, published=False)
                raise
            fetched = self._presented[challenge.token] = threading.Event()
            if self._activated is not None:
                self._activated.expect(challenge.token, fetched)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once all hosts of the cluster answer; a host of its own does at once."""
        wait_for_hosts(self._tokens, challenge, challenge.token, deadline)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority to fetch the response.

        Returns False if another gatecert on the same port or the web server of ``webroot`` answers.
        """
        fetched = self._presented.get(challenge.token)
        return fetched.wait(seconds) if fetched is not None else False

    def clean_up(self, challenge: Challenge) -> None:
        """Remove the response, and stop listening after the last one."""
        with self._lock:
            self._remove(challenge.token)
            self._presented.pop(challenge.token, None)
            if self._activated is not None:
                self._activated.forget(challenge.token)
            if self._settings.webroot is not None:
                self.remove_leftovers()
            if self._presented or self._responder is None:
                return
            responder, self._responder = self._responder, None
            responder.stop()

    def remove_leftovers(self) -> None:
        """Remove responses left by crashed processes and by earlier disk errors."""
        try:
            for token in {*self._leftovers, *self._tokens.abandoned_tokens(KIND)}:
                if self._remove(token):
                    logger.info("removed a leftover response token=%s", token)
        except StateError as error:
            logger.warning("cannot remove the responses of crashed processes: %s", error)

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Present a test response and fetch it: from the listeners, or with a webroot by name.

        Raises:
            AddressInUseError: Another program listens on the port.
            ChallengeError: The port cannot be opened, or the file cannot be written.
            StorageError: The response cannot be stored.
        """
        with self._lock:
            if self._responder is not None and not names:
                return ()  # it answers other challenges now
        token = secrets.token_urlsafe(32)
        identifier = Identifier(IdentifierType.DNS, "self-test.invalid")
        challenge = Challenge(KIND, identifier, token, f"{token}.try")
        self.present(challenge)
        try:
            return tuple(
                f"the test response cannot be fetched from http://{endpoint}"
                for endpoint in self._test_endpoints(names)
                if not serves_token(endpoint, token, challenge.key_authorization)
            )
        finally:
            self.clean_up(challenge)

    def _test_endpoints(self, names: Sequence[str]) -> list[Endpoint]:
        """Return the endpoints that have to serve a response."""
        if self._settings.webroot is not None:
            return [Endpoint(name, HTTP_PORT) for name in names]
        return [each for each in self._settings.listen if is_local_address(each)] if names else []

    def _publish(self, challenge: Challenge) -> None:
        if self._settings.webroot is not None:
            webroot.publish(self._settings.webroot, challenge.token, challenge.key_authorization)
        elif self._activated is None and self._responder is None:
            self._responder = self._open(challenge)

    def _open(self, challenge: Challenge) -> BoundedServer:
        def is_ours(endpoint: Endpoint) -> bool:
            return serves_token(endpoint, challenge.token, challenge.key_authorization)

        listeners = listen(self._settings.listen, is_ours)
        return http_responder(listeners, partial(self._tokens.token, KIND), self._fetched)

    def _fetched(self, token: str) -> None:
        fetched = self._presented.get(token)
        if fetched is not None:
            fetched.set()

    def _remove(self, token: str, *, published: bool = True) -> bool:
        """Remove a response; if that fails, ``remove_leftovers`` tries again.

        The token is removed last: after a crash it tells what else to remove.
        """
        root = self._settings.webroot if published else None
        gone = root is None or webroot.withdraw(root, token)
        try:
            if gone:
                self._tokens.remove_token(KIND, token)
        except StateError as error:
            logger.warning("cannot remove a token token=%s %s", token, error)
            gone = False
        if gone:
            self._leftovers.discard(token)
        else:
            self._leftovers.add(token)
        return gone
