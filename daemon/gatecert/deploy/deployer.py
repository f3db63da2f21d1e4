"""In place → reloaded → proven, or rolled back: one path for everything that a server reads.

`Deployer` is that path. A certificate version (``deploy.certificate_deployer``) and a bundle of
client CAs (``client_ca.client_ca_deployer``) take it alike. What is to be served, and what was
served before, is recorded in ``deployment.json`` before any file changes, so that the next pass
completes what a crash interrupted. Deployment is retried without limit and never costs an order.

- Nothing listens: the new files stay, and are proven as soon as a listener accepts connections.
- The server refuses the new files: the previous ones are put back and proven.
- The proof fails for any other reason: the new files stay, reload and proof are repeated.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from cryptography.x509 import Certificate

from gatecert import container
from gatecert.certificate.trust import load_trusted_roots
from gatecert.deploy.live import LiveDirectory
from gatecert.deploy.parsed_versions import ParsedVersions
from gatecert.deploy.reload import reload
from gatecert.deploy.reload_request import request_reload
from gatecert.deploy.reload_unit import ReloadUnit, fix_of_reload
from gatecert.errors import (
    CopyError,
    DeploymentError,
    GatecertError,
    MixedCertificatesError,
    NotServedError,
    ReloadError,
    clean,
)
from gatecert.measurement import Measure, Measurement, no_measure
from gatecert.model import (
    Deployment,
    ListenerOutage,
    Message,
    Progress,
    Stage,
    Target,
    Verdict,
    Wait,
    repr_of_listener,
)
from gatecert.schedule.due import next_deployment, next_listener_check
from gatecert.store.kept_files import KeptFiles
from gatecert.store.protocol import HostStore
from gatecert.verify.served_chain import ServedChain
from gatecert.verify.verdict import probe_listeners
from gatecert.verify.watch import all_refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deploy.deployment_record import DeploymentRecord
    from gatecert.verify.served_chain import ProbeFailure

logger = logging.getLogger(__name__)

SERVER_START = timedelta(seconds=5)  # after a reload command that may start the server
STOP_OTHER_SERVER = (
    "stop the server that still serves the other certificate; a reload does not reach it"
)

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class DeployTools:
    """The tools of all deployments of this process.

    Attributes:
        progress: Called at each step.
        now: Reads the clock.
        cancelled: Set when gatecert stops: a deployment is then left as it is for the next pass.
        roots: Returns the roots that are trusted for a gateway.
        parsed: What was parsed of versions, for as long as the process lives.
        records: The records of deployments, likewise.
        reload_unit: Returns the systemd unit that reloads a gateway's server; None if systemd does
            not run here.
        measure: Gets each roll-back.
    """

    store: HostStore
    progress: Progress
    now: Callable[[], datetime]
    cancelled: threading.Event = field(default_factory=threading.Event)
    roots: Callable[[Target], tuple[Certificate, ...]] = lambda _: load_trusted_roots()
    parsed: ParsedVersions = field(default_factory=ParsedVersions)
    records: KeptFiles[Deployment] = field(default_factory=KeptFiles)
    reload_unit: Callable[[str], ReloadUnit | None] = lambda _: None
    measure: Measure = no_measure


@dataclass(frozen=True, slots=True)
class DeploymentResult:
    """The result of a deployment.

    Attributes:
        detail: One line for the operator.
        error: Why the new content is not served; None if it is, or if nothing listens yet.
        rolled_back: True if the previous content was put back.
        waits: True if nothing listens, which an earlier pass has reported.
    """

    detail: str
    error: GatecertError | None = None
    rolled_back: bool = False
    waits: bool = False


class Deployer(ABC, Generic[Content]):
    """Deploys one kind of content to one gateway, for the length of one pass.

    Args:
        tools: What all deployments share.
        target: The gateway.
        record: The record of this kind of content.

    Attributes:
        live: The gateway's ``live`` link.
    """

    def __init__(
        self,
        tools: DeployTools,
        target: Target,
        record: DeploymentRecord,
        live: LiveDirectory | None = None,
    ) -> None:
        self.tools = tools
        self.target = target
        self.record = record
        self.directory = tools.store.gateway_directory(target.name)
        self.live = live or LiveDirectory(self.directory)

    # ------------------------------------------------------------------ one kind of content

    file: str
    """What the server has to read again, for messages."""

    @property
    @abstractmethod
    def is_provable(self) -> bool:
        """True if a listener or a command can verify the content."""

    @property
    @abstractmethod
    def proofs(self) -> tuple[str, ...]:
        """The listeners and the command of the verification, as recorded."""

    @abstractmethod
    def describe(self, content: Content) -> str:
        """Name the content as the subject of a sentence."""

    @abstractmethod
    def id_of(self, content: Content) -> str:
        """Return the id that the record keeps."""

    @abstractmethod
    def current_id(self) -> str:
        """Return the id of what is in place; empty if nothing is."""

    @abstractmethod
    def put(self, content: Content) -> bool:
        """Put content where the server reads it.

        Returns:
            Whether anything changed.

        Raises:
            StorageError: It cannot be put there; what was in place still is.
            CopyError: It is in place, but a copy of it is not.
        """

    @abstractmethod
    def prove(self, content: Content, timeout: timedelta) -> Verdict:
        """Ask every listener until it serves the content, or the time is up."""

    @abstractmethod
    def verify_once(self, content: Content) -> Verdict:
        """Ask every listener once."""

    @abstractmethod
    def previous(self) -> Content | None:
        """Return what may be put back; None if there is nothing."""

    @abstractmethod
    def is_refused(
        self,
        content: Content,
        previous: Content,
        error: DeploymentError,
        answers: Sequence[ServedChain | ProbeFailure],
    ) -> bool:
        """Tell whether the server refuses the content, so that the previous one is put back."""

    @abstractmethod
    def keep_or_revert(
        self, content: Content, previous: Content, error: DeploymentError, failure: str | None
    ) -> DeploymentResult:
        """Decide what stays in place after a roll-back.

        Args:
            content: What the server refused.
            previous: What was put back.
            error: Why it was put back.
            failure: Why the listener still fails the check; None if it passes.
        """

    def may_go_back(self, content: Content) -> bool:
        """Tell whether there is previous content that is at least as good."""
        del content
        return self.previous() is not None

    def ends(self, content: Content) -> datetime | None:
        """Return when the content expires; None if it does not."""
        del content
        return None

    def waiting_error(self, detail: str) -> GatecertError | None:
        """Return the error to report while nothing listens; None if that is none."""
        del detail
        return None

    def reads_elsewhere(self) -> str:
        """Say which configuration makes the server read other files; empty if none is known."""
        return ""

    def clean_up(self, content: Content) -> None:
        """Delete what is no longer needed once the content stays in place."""
        del content

    def answered(self, answers: Sequence[ServedChain | ProbeFailure]) -> tuple[str, ...]:
        """Name the listeners that complete a TLS handshake now, whatever they serve."""
        return tuple(repr_of_listener(a.endpoint) for a in answers if isinstance(a, ServedChain))

    # ------------------------------------------------------------------ the path

    def swap(self, content: Content, answered: Sequence[str] = ()) -> bool:
        """Put content in place without a reload.

        Args:
            content: What the server is to read.
            answered: Listeners that complete a TLS handshake now.

        Returns:
            Whether anything changed.

        Raises:
            StorageError: It cannot be put in place.
            CopyError: It is in place, but not every copy could be written.
        """
        new = self.id_of(content)
        known = self.record.value
        if known is None or known.version != new:
            known = Deployment(new)
        current = self.current_id()
        self.record.save(
            Deployment(
                new,
                failures=known.failures,
                previous=known.previous if current == new else current,
                silence=known.silence,
                mixed=known.mixed,
                answered=tuple(sorted({*known.answered, *answered})),
            )
        )
        return self.put(content)

    def deploy(self, content: Content) -> DeploymentResult:
        """Put content in place, make the server read it and prove that it serves it.

        Raises:
            StorageError: A file cannot be written; the next pass continues from there.
        """
        answers = probe_listeners(self.target.install.verify, self.target.hostname)
        absent, announced, mixed = all_refuse(answers), self._is_announced(content), self._mixed
        try:
            changed, copy_error = self._swap(content, answers)
            may_wait = not changed or self.may_go_back(content)
            if copy_error is not None and not self.is_provable and may_wait:
                raise copy_error
            seen = self.verify_once(content) if self.is_provable and not changed else None
            served = seen is not None and seen.served
            if absent and not changed and not served and announced:
                return self._wait_for_listener(content, answers)
            if seen is not None and not served and mixed:
                raise MixedCertificatesError(seen.detail, fix=STOP_OTHER_SERVER)
            proven = served or self.bring_up(
                content, SERVER_START if absent else self.target.install.verify_timeout
            )
        except DeploymentError as error:
            if self.tools.cancelled.is_set():
                return DeploymentResult("deployment interrupted; the next pass resumes it", error)
            result = self._handle_failure(content, error, absent=absent)
            if result.rolled_back:
                self.tools.measure(Measurement.ROLLBACKS, {}, 1)
            return result
        if copy_error is not None:
            return self._confirm_without_copies(content, copy_error, proven=proven)
        return self.confirm(content, proven=proven)

    def bring_up(self, content: Content, timeout: timedelta) -> bool:
        """Make the server read content that is in place, and prove that it does.

        Returns:
            Whether it is proven; False if nothing can tell.

        Raises:
            DeploymentError: The server does not serve it.
        """
        plan, version = self.target.install, self.live.current() or ""
        if plan.reload:
            self._tell(Stage.INSTALL, "reloading the gateway")
            self._tell(
                Stage.INSTALL, Wait("the reload command", plan.reload_timeout.total_seconds())
            )
            seconds = reload(
                plan,
                gateway=self.target.name,
                hostname=self.target.hostname,
                live=self.live.path,
                version=version,
                cancelled=self.tools.cancelled,
            )
            logger.info("reloaded gateway=%s seconds=%.3f", self.target.name, seconds)
        else:
            request_reload(self.directory, version)
        timeout = min(timeout, plan.verify_timeout)
        if self.is_provable:
            listeners = clean(", ".join(map(str, plan.verify)) or "the verify command", 200)
            self._tell(Stage.VERIFY, Wait(f"{listeners} to serve it", timeout.total_seconds()))
        verdict = self.prove(content, timeout)
        if not verdict.probes:
            return False
        if verdict.mixed:
            raise MixedCertificatesError(verdict.detail, fix=STOP_OTHER_SERVER)
        if not verdict.served:
            fix = self.reads_elsewhere() or self._reload_fix(verdict)
            raise NotServedError(verdict.detail, fix=fix)
        self._tell(Stage.VERIFY, verdict.detail)
        return True

    def confirm(self, content: Content, *, proven: bool) -> DeploymentResult:
        """Record that the content is in service."""
        now = self.tools.now()
        self.record.save(Deployment(self.id_of(content), confirmed=now, proven=self.proofs))
        self.clean_up(content)
        ending = "is served" if proven else "is installed, not proven: install.verify is empty"
        return DeploymentResult(f"{self.describe(content)} {ending}")

    def postpone(
        self,
        content: Content,
        error: DeploymentError,
        *,
        previous: str | None = None,
        ends: datetime | None = None,
    ) -> None:
        """Record a failure and when the next attempt comes.

        Args:
            content: What is to be served.
            error: Why it is not.
            previous: Id of what may be put back; None keeps the recorded one.
            ends: When the content in place expires; None if that does not matter.
        """
        known = self.record.value or Deployment(self.id_of(content))
        failures = 1 + known.failures
        self.record.save(
            Deployment(
                self.id_of(content),
                failures=failures,
                next_attempt=next_deployment(failures, now=self.tools.now(), not_after=ends),
                error=error.message,
                previous=known.previous if previous is None else previous,
                answered=known.answered,
                mixed=isinstance(error, MixedCertificatesError),
            )
        )

    # ------------------------------------------------------------------ steps of the path

    def _swap(
        self, content: Content, answers: Sequence[ServedChain | ProbeFailure]
    ) -> tuple[bool, CopyError | None]:
        """Swap; return whether anything changed, and why a copy could not be written."""
        before = self.current_id()
        try:
            return self.swap(content, self.answered(answers)), None
        except CopyError as error:
            return before != self.id_of(content), error

    def _is_announced(self, content: Content) -> bool:
        """Tell whether the server has been told to read this content before."""
        known = self.record.value
        if known is None or known.version != self.id_of(content):
            return False
        return known.confirmed is not None or known.silence is not None or bool(known.failures)

    @property
    def _mixed(self) -> bool:
        """True if a listener still served two certificates after the last reload."""
        return self.record.value is not None and self.record.value.mixed

    def _confirm_without_copies(
        self, content: Content, error: CopyError, *, proven: bool
    ) -> DeploymentResult:
        """Record that only copies are missing of content that is in service."""
        self.postpone(content, error, previous="")
        self.clean_up(content)
        ending = "the certificate is served" if proven else "the gateway was reloaded"
        return DeploymentResult(f"{error.message}; {ending} nevertheless", error)

    def _handle_failure(
        self, content: Content, error: DeploymentError, *, absent: bool
    ) -> DeploymentResult:
        """Decide what stays in place of content that is not proven."""
        answers = probe_listeners(self.target.install.verify, self.target.hostname)
        reloadable = not isinstance(error, ReloadError) or error.ran
        if absent and all_refuse(answers) and reloadable:
            return self._wait_for_listener(content, answers, error)
        previous = self.previous()
        if previous is not None and self.is_refused(content, previous, error, answers):
            return self._roll_back(content, previous, error)
        self.postpone(content, error)
        self.clean_up(content)
        if self.current_id() != self.id_of(content):
            return DeploymentResult(error.message, error)
        ending = f"{self.describe(content)} stays in place; reload and proof are repeated"
        return DeploymentResult(f"{error.message}; {ending}", error)

    def _roll_back(
        self, content: Content, previous: Content, error: DeploymentError
    ) -> DeploymentResult:
        try:
            self.postpone(content, error, ends=self.ends(previous))
        finally:  # the previous content is served again even if the record cannot be written
            result = self._put_back(content, previous, error)
        return result

    def _put_back(
        self, content: Content, previous: Content, error: DeploymentError
    ) -> DeploymentResult:
        if isinstance(error, CopyError):  # the server has not been told of the new content
            self.put_without_copies(previous)
            ending = "rolled back before the gateway was reloaded"
            return DeploymentResult(f"{error.message}; {ending}", error, rolled_back=True)
        self._tell(Stage.INSTALL, f"rolling back to version {self.id_of(previous)}")
        failure = None
        try:
            self.put_without_copies(previous)
            self.bring_up(previous, self.target.install.verify_timeout)
        except DeploymentError as second:
            failure = second.message
        return self.keep_or_revert(content, previous, error, failure)

    def put_without_copies(self, content: Content) -> None:
        """Put content in place; a copy that cannot be written is only logged."""
        try:
            self.put(content)
        except CopyError as error:
            logger.warning("not every copy gateway=%s error=%s", self.target.name, error)

    def _wait_for_listener(
        self,
        content: Content,
        answers: Sequence[ServedChain | ProbeFailure],
        error: DeploymentError | None = None,
    ) -> DeploymentResult:
        """Leave content in place that is proven as soon as something listens."""
        deployment, now = self.record.value or Deployment(self.id_of(content)), self.tools.now()
        known = deployment.silence
        listeners = tuple(str(answer.endpoint) for answer in answers)
        what = f"nothing listens at {', '.join(listeners)} yet"
        if isinstance(error, ReloadError):
            what += f" ({error.message})"
        since = known.since if known is not None and known.since <= now else now
        detail = (
            f"{self.describe(content)} is installed, not proven: {what}; the proof follows as soon"
            " as a listener accepts connections"
        )
        waiting = self.waiting_error(detail)
        self.record.save(
            replace(
                deployment,
                next_attempt=next_listener_check(since, now=now),
                silence=ListenerOutage(since, now, listeners, what),
                error=deployment.error if waiting is None else waiting.message,
            )
        )
        return DeploymentResult(detail, waiting, waits=known is not None)

    def _reload_fix(self, verdict: Verdict) -> str:
        if self.target.install.reload:
            fix = f"make install.reload cause the gateway to read {self.file} again"
        elif verdict.shows_another and (unit := self.tools.reload_unit(self.target.name)):
            return fix_of_reload(unit, self.directory, self.file)
        else:
            fix = container.fix_for(
                host="set install.reload, or let systemd reload it: see "
                f"journalctl -u gatecert-reload@{self.target.name}",
                container="let the gateway's container watch its volume, or set install.reload "
                "to send the server a signal (docs/container.md)",
            )
        return f"{fix}; in a container, mount the directory: a single mounted file never changes"

    def _tell(self, stage: Stage, message: Message) -> None:
        self.tools.progress(self.target.name, stage, message)
