"""One authority, as the pipeline knows it: who obtains certificates and renewal information there.

An account that the authority has forgotten (a test authority that was restarted, say) is made again
with the same key. The orders are gone with it, so the pending one is forgotten, and the enrolment
begins anew, once.
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from gatecert.acme.account import AccountRegistrar
from gatecert.acme.budget import Budget
from gatecert.acme.directory_check import (
    DirectoryReport,
    binding_refusal,
    profile_refusal,
    terms_refusal,
)
from gatecert.acme.rate_limits import REPLACEMENTS, for_lifetime
from gatecert.acme.renewal_info import fetch
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.config.well_known import by_directory
from gatecert.deadline import Deadline
from gatecert.errors import AccountMissingError
from gatecert.model import Limits, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from gatecert.acme.account_administration import AccountAdministration
    from gatecert.acme.client import Client
    from gatecert.acme.protocol import OrderJournal
    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.acme.revocation_request import Revocation, RevocationResult
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.model import (
        Account,
        CertificateSummary,
        IssuedChain,
        Progress,
        RenewalInfo,
        Target,
    )
    from gatecert.store.protocol import IssuerStore

logger = logging.getLogger(__name__)

ORDER_SECONDS = 300.0
# A staging directory is there for trying; this is what Let's Encrypt's allows.
STAGING_LIMITS = LimitSettings(
    new_accounts=RateLimit(50, timedelta(hours=3)),
    orders=RateLimit(1500, timedelta(hours=3)),
    certificates=RateLimit(30_000, timedelta(days=7)),
    duplicates=RateLimit(30_000, timedelta(days=7)),
    failed_validations=RateLimit(200, timedelta(hours=1)),
)
RENEWAL_INFO_SECONDS = 10.0
DIRECTORY_SECONDS = 20.0
ADMINISTRATION_SECONDS = 60.0


class Issuer:
    """Obtains certificates from one authority; safe to use from several threads.

    Args:
        settings: The authority, as configured.
        store: Where accounts, and what was asked of the authority, are kept.
        solvers: By challenge type.
        client: The way to the authority; None makes one when it is first needed, so that a daemon
            starts without loading what only orders need.
        order_seconds: The time that an order may take, unless said otherwise.
    """

    def __init__(
        self,
        settings: AuthoritySettings,
        store: IssuerStore,
        solvers: Mapping[str, Solver],
        *,
        client: Client | None = None,
        order_seconds: float = ORDER_SECONDS,
    ) -> None:
        self.settings = settings
        self.solvers = solvers
        self._store = store
        self._client = client
        self._order_seconds = order_seconds
        self._registrar: AccountRegistrar | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The authority's name in the configuration."""
        return self.settings.name

    @cached_property
    def staging(self) -> Issuer | None:
        """The authority's staging directory, with an account and limits of its own."""
        known = by_directory(self.settings.directory_url)
        url = self.settings.staging_directory_url or (known.staging_directory_url if known else "")
        if not url:
            return None
        settings = self.settings.model_copy(
            update={
                "name": f"{self.name}.staging",
                "directory_url": url,
                "staging_directory_url": None,
                "trusted_roots": None,
                "preferred_root": None,
                "external_account": None,
                "limits": STAGING_LIMITS,
            }
        )
        return Issuer(settings, self._store, self.solvers)

    def obtain(  # noqa: PLR0913 - the pipeline's side of the story
        self,
        target: Target,
        journal: OrderJournal,
        *,
        progress: Progress,
        now: Callable[[], datetime],
        replaces: str = "",
        lifetime: timedelta | None = None,
        cancelled: threading.Event | None = None,
        seconds: float | None = None,
    ) -> IssuedChain:
        """Obtain a certificate for a target.

        The order stays in the journal; the caller forgets it once the chain is on the disk.

        Args:
            target: What for.
            journal: Where its order is remembered.
            progress: Told what goes on.
            now: The wall clock, aware UTC.
            replaces: CertID of the certificate that is renewed, empty if none.
            lifetime: How long the certificate that is renewed lives as a whole, if there is one.
            cancelled: Set when gatecert is stopping.
            seconds: The time that all of it may take; None means that of the constructor.

        Raises:
            RateLimitBudgetError: More would exceed the authority's limits; says until when.
            ChallengeFailedError: The authority did not accept a response.
            ChallengeError: A response could not be presented.
            CertificateError: What was issued is not sound.
            InterruptedOrderError: ``cancelled`` was set; the order can be resumed.
            AuthorityError: Anything else about the authority.
            StorageError: Something could not be kept.
        """
        deadline = Deadline.after(self._order_seconds if seconds is None else seconds, cancelled)
        from gatecert.acme.enrolment import Enrolment  # noqa: PLC0415 - see the class

        client, registrar = self._connect()
        budget = self._budget(client, now, lifetime)

        def enrol(account: Account) -> IssuedChain:
            return Enrolment(
                settings=self.settings,
                client=client,
                budget=budget,
                account=account,
                solvers=self.solvers,
                target=target,
                journal=journal,
                progress=progress,
                deadline=deadline,
                now=now,
            ).run(replaces)

        account = registrar.ensure_account(deadline, budget)
        try:
            return enrol(account)
        except AccountMissingError:
            logger.warning(
                "account unknown to the authority, made again authority=%s url=%s",
                self.settings.name,
                account.url,
            )
        registrar.mark_unknown(account)
        journal.forget()
        return enrol(registrar.ensure_account(deadline, budget))

    def renewal_info(
        self,
        summary: CertificateSummary,
        *,
        now: Callable[[], datetime],
        previous: RenewalInfo | None = None,
        cancelled: threading.Event | None = None,
    ) -> RenewalInfo:
        """When the authority would like a certificate to be renewed; errors are answers too."""
        client, _ = self._connect()
        deadline = Deadline.after(RENEWAL_INFO_SECONDS, cancelled)
        return fetch(client, summary, previous, deadline=deadline, now=now)

    def remaining_limits(
        self, names: Sequence[str], now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> tuple[RemainingAllowance, ...]:
        """What is left of the authority's limits for an order; nothing is sent.

        Args:
            names: What it would be for.
            now: The wall clock, aware UTC.
            lifetime: How long the last certificate lived, if there was one.

        Raises:
            StorageError: What was spent, or the account, cannot be read.
        """
        client, _ = self._connect()
        account = self._store.account(self.settings.name)
        url = account.url if account is not None else ""
        return self._budget(client, now, lifetime).remaining_allowances(url, sorted(names))

    def account_url(self, now: Callable[[], datetime]) -> str:
        """The URL of our account there, which is made if there is none.

        Args:
            now: The wall clock, aware UTC.

        Raises:
            RateLimitBudgetError: Too many were made from here; says until when.
            TermsNotAgreedError: It would have to be made, and the terms are not agreed to.
            AuthorityError: The authority cannot be asked, or refuses.
            StorageError: The account cannot be kept.
        """
        client, registrar = self._connect()
        return registrar.ensure_account(
            Deadline.after(DIRECTORY_SECONDS), self._budget(client, now, None)
        ).url

    def revoke(
        self, revocation: Revocation, cancelled: threading.Event | None = None
    ) -> RevocationResult:
        """Revoke a certificate; makes no account for it.

        Raises:
            AuthorityError: The authority refuses, or cannot be asked.
            StorageError: The account cannot be read.
        """
        from gatecert.acme.revocation_request import revoke  # noqa: PLC0415 - seldom

        client, registrar = self._connect()
        deadline = Deadline.after(ADMINISTRATION_SECONDS, cancelled)
        return revoke(client, registrar.find(deadline), revocation, deadline)

    def administration(self) -> AccountAdministration:
        """Our account there, for the commands about it."""
        from gatecert.acme.account_administration import (  # noqa: PLC0415 - commands only
            AccountAdministration,
        )

        client, _ = self._connect()
        return AccountAdministration(self.settings, self._store, client)

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        """What can be known of the authority without spending anything there.

        Raises:
            AuthorityError: It cannot be reached, or is no ACME authority.
        """
        client, _ = self._connect()
        directory = client.directory(Deadline.after(DIRECTORY_SECONDS, cancelled))
        account = self._store.account(self.settings.name)
        here = account is not None and account.directory_url == self.settings.directory_url
        about = (self.settings, directory, client.label)
        return DirectoryReport(
            name=self.settings.name,
            label=client.label,
            clock_ahead=client.clock_ahead,
            identities=directory.caa_identities,
            account_url=account.url if account is not None and here else "",
            # Whoever still has the key may still have the account.
            refusal=(terms_refusal(*about) or binding_refusal(*about)) if account is None else None,
            profile=self.settings.profile.name if self.settings.profile is not None else "",
            profile_refusal=profile_refusal(*about),
        )

    def _budget(
        self, client: Client, now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> Budget:
        """What the authority allows; as many certificates as their lifetime wants, if not set."""
        settings = self.settings.limits
        allowances = dict(settings)
        for name in {"certificates", "duplicates"} - settings.model_fields_set:
            allowances[name] = for_lifetime(allowances[name], lifetime)
        unlimited = allowances["duplicates"] is None
        replacements = None if unlimited else for_lifetime(REPLACEMENTS, lifetime)
        limits = Limits(**allowances, replacements=replacements)
        return Budget(
            self._store,
            client.directory_url,
            limits,
            client.label,
            self.name,
            now,
            ahead=lambda: client.clock_ahead,
        )

    def _connect(self) -> tuple[Client, AccountRegistrar]:
        with self._lock:
            if self._client is None:
                from gatecert.acme.client import Client  # noqa: PLC0415 - see the class

                self._client = Client(
                    self.settings.name,
                    self.settings.directory_url,
                    ca_bundle=self.settings.ca_bundle,
                )
            if self._registrar is None:
                self._registrar = AccountRegistrar(self.settings, self._store, self._client)
            return self._client, self._registrar
