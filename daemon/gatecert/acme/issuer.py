"""An issuer: one CA as the pipeline uses it, for certificates and renewal information.

Orders beyond ``most_orders`` wait for their turn, and their time starts with it.

If the CA no longer knows the account (a test CA that was restarted, for example), it is created
again with the same key. Its orders are lost too, so the pending one is dropped and the enrolment
starts again, once.
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from gatecert.acme.account import AccountRegistrar
from gatecert.acme.authority_measurements import AuthorityMeasurements
from gatecert.acme.budget import Budget
from gatecert.acme.directory_check import (
    DirectoryReport,
    binding_refusal,
    client_certificate,
    presented_certificate,
    profile_refusal,
    terms_refusal,
)
from gatecert.acme.load_limit import OrderTurns
from gatecert.acme.rate_limits import REPLACEMENTS, for_lifetime
from gatecert.acme.renewal_info import fetch
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.config.well_known import by_directory
from gatecert.deadline import Deadline
from gatecert.errors import LONGEST_EXTERNAL_TEXT, AccountMissingError, clean
from gatecert.measurement import Measure, no_measure
from gatecert.model import Limits, RateLimit, Stage, Wait

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
# The limits of Let's Encrypt's staging environment.
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
    """Obtains certificates from one CA; safe to use from several threads.

    Args:
        settings: The CA's configuration.
        store: Stores accounts and rate-limit usage.
        solvers: By challenge type.
        client: The CA's client; None creates one at first use, so that a daemon starts without
            loading the ACME libraries.
        order_seconds: The time limit of an order.
        measure: Gets what is measured.
        lifetime_of: Returns the lifetime of the certificate for these names; None if unknown.
    """

    def __init__(  # noqa: PLR0913 - each sets something else
        self,
        settings: AuthoritySettings,
        store: IssuerStore,
        solvers: Mapping[str, Solver],
        *,
        client: Client | None = None,
        order_seconds: float = ORDER_SECONDS,
        measure: Measure = no_measure,
        lifetime_of: Callable[[Sequence[str]], timedelta | None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.solvers = solvers
        self._store = store
        self._client = client
        self._order_seconds = order_seconds
        self._registrar: AccountRegistrar | None = None
        self._turns = OrderTurns(settings.most_orders)
        self._lock = threading.Lock()
        self._measure = measure
        self._measurements = AuthorityMeasurements(
            self.name, settings.directory_url, store, self._limits, measure, lifetime_of
        )

    @property
    def name(self) -> str:
        """The authority's name in the configuration."""
        return self.settings.name

    @cached_property
    def staging(self) -> Issuer | None:
        """The CA's staging environment, with its own account and limits."""
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

    def obtain(  # noqa: PLR0913 - all that an order depends on
        self,
        target: Target,
        journal: OrderJournal,
        *,
        progress: Progress,
        now: Callable[[], datetime],
        replaces: str = "",
        lifetime: timedelta | None = None,
        cancelled: threading.Event | None = None,
    ) -> IssuedChain:
        """Obtain a certificate for a target, once it is this order's turn.

        The order stays in the journal; the caller deletes it once the chain is on the disk.

        Args:
            target: The gateway's target.
            journal: Stores the order.
            progress: Receives progress messages.
            now: The wall clock, aware UTC.
            replaces: CertID of the certificate to renew; empty if none.
            lifetime: Total lifetime of the certificate to renew, if there is one.
            cancelled: Set when gatecert is stopping.

        Raises:
            RateLimitBudgetError: The order would exceed a rate limit; says until when.
            OrderHeldError: Other orders of the fleet go first, or it is halted; says until when.
            ChallengeFailedError: A validation failed.
            ChallengeError: A response could not be presented.
            CertificateError: The issued chain is not sound.
            InterruptedOrderError: ``cancelled`` was set; the order can be resumed.
            LeaseLostError: Another host may hold the lease, and goes on with the order.
            AuthorityError: Any other error of the CA.
            StorageError: Something could not be stored.
        """
        ca = self.settings.name
        tell = partial(progress, target.name, Stage.ORDER)
        queued = partial(tell, Wait(f"other orders at {ca} to finish"))
        with self._turns.turn(cancelled, queued):
            deadline = Deadline.after(self._order_seconds, cancelled)
            tell(Wait(f"an answer of {ca}", deadline.remaining))
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

            with self._measurements.order(budget.ca_time):
                account = registrar.ensure_account(deadline, budget)
                try:
                    return enrol(account)
                except AccountMissingError:
                    logger.warning(
                        "account unknown to the CA, creating it again authority=%s url=%s",
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
        """Ask when to renew a certificate; an error also yields renewal information."""
        client, _ = self._connect()
        deadline = Deadline.after(RENEWAL_INFO_SECONDS, cancelled)
        return fetch(client, summary, previous, deadline=deadline, now=now)

    def remaining_limits(
        self, names: Sequence[str], now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> tuple[RemainingAllowance, ...]:
        """Return what is left of the CA's limits for an order; send nothing.

        Args:
            names: The names of the order.
            now: The wall clock, aware UTC.
            lifetime: Lifetime of the last certificate, if there was one.

        Raises:
            StorageError: The usage or the account cannot be read.
        """
        client, _ = self._connect()
        account = self._store.account(self.settings.name)
        url = account.url if account is not None else ""
        return self._budget(client, now, lifetime).remaining_allowances(url, sorted(names))

    def measure_budget(self, now: datetime) -> None:
        """Measure what is left of the CA's limits; send nothing, and never fail.

        Args:
            now: Aware UTC.
        """
        ahead = self._client.clock_ahead if self._client is not None else None
        self._measurements.budget(now - (ahead or timedelta(0)))

    def account_url(self, now: Callable[[], datetime]) -> str:
        """Return the URL of our account; create it if there is none.

        Args:
            now: The wall clock, aware UTC.

        Raises:
            RateLimitBudgetError: A new account would exceed a rate limit; says until when.
            TermsNotAgreedError: A new account needs agreement to the terms of service.
            AuthorityError: The CA cannot be reached, or refuses.
            StorageError: The account cannot be stored.
        """
        client, registrar = self._connect()
        return registrar.ensure_account(
            Deadline.after(DIRECTORY_SECONDS), self._budget(client, now, None)
        ).url

    def revoke(
        self, revocation: Revocation, cancelled: threading.Event | None = None
    ) -> RevocationResult:
        """Revoke a certificate; never create an account for it.

        Raises:
            AuthorityError: The CA refuses, or cannot be reached.
            StorageError: The account cannot be read.
        """
        from gatecert.acme.revocation_request import revoke  # noqa: PLC0415 - rarely used

        client, registrar = self._connect()
        deadline = Deadline.after(ADMINISTRATION_SECONDS, cancelled)
        return revoke(client, registrar.find(deadline), revocation, deadline)

    def administration(self) -> AccountAdministration:
        """Return the account commands for this CA."""
        from gatecert.acme.account_administration import (  # noqa: PLC0415 - commands only
            AccountAdministration,
        )

        client, _ = self._connect()
        return AccountAdministration(self.settings, self._store, client)

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        """Fetch and check the CA's directory; create and order nothing.

        Raises:
            AuthorityError: The CA cannot be reached, or does not speak ACME.
        """
        client, _ = self._connect()
        directory = client.directory(Deadline.after(DIRECTORY_SECONDS, cancelled))
        account = self._store.account(self.settings.name)
        is_here = account is not None and account.directory_url == self.settings.directory_url
        about = (self.settings, directory, client.label)
        return DirectoryReport(
            name=self.settings.name,
            label=client.label,
            clock_ahead=client.clock_ahead,
            identities=directory.caa_identities,
            account_url=account.url if account is not None and is_here else "",
            # With the key, the account may still exist.
            refusal=(terms_refusal(*about) or binding_refusal(*about)) if account is None else None,
            profile=self.settings.profile.name if self.settings.profile is not None else "",
            profile_refusal=profile_refusal(*about),
            terms_of_service=clean(directory.terms_of_service, LONGEST_EXTERNAL_TEXT),
            client_certificate=presented_certificate(self.settings),
        )

    def _budget(
        self, client: Client, now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> Budget:
        return Budget(
            self._store,
            client.directory_url,
            self._limits(lifetime),
            client.label,
            self.name,
            now,
            ahead=lambda: client.clock_ahead,
        )

    def _limits(self, lifetime: timedelta | None) -> Limits:
        """Return the limits; unset certificate limits are raised to what the lifetime needs."""
        settings = self.settings.limits
        allowances = dict(settings)
        for name in {"certificates", "duplicates"} - settings.model_fields_set:
            allowances[name] = for_lifetime(allowances[name], lifetime)
        unlimited = allowances["duplicates"] is None
        replacements = None if unlimited else for_lifetime(REPLACEMENTS, lifetime)
        return Limits(
            **allowances, replacements=replacements, most_orders=self.settings.most_orders
        )

    def _connect(self) -> tuple[Client, AccountRegistrar]:
        with self._lock:
            if self._client is None:
                from gatecert.acme.client import Client  # noqa: PLC0415 - see the class

                self._client = Client(
                    self.settings.name,
                    self.settings.directory_url,
                    ca_bundle=self.settings.ca_bundle,
                    client_certificate=client_certificate(self.settings),
                    most_orders=self.settings.most_orders,
                    measure=self._measure,
                )
            if self._registrar is None:
                self._registrar = AccountRegistrar(self.settings, self._store, self._client)
                url = self.settings.directory_url
                self._client.tell_pause = partial(self._store.pause_orders, url)
            return self._client, self._registrar
