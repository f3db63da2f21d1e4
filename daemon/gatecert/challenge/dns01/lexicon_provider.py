"""About ninety DNS providers through the library dns-lexicon.

The library is an optional extra, ``gatecert[dns]``, imported at the first change. Some of its
features do not suit a daemon:

- ``lexicon.client.Client`` guesses the zone from the Public Suffix List, which it downloads. The
  zone is known here, so the provider's class is used directly.
- Its configuration may come from the environment and the working directory. Here it comes only from
  ``options`` and from the files named in ``credentials``.
- A provider whose customers have domains below its own (DuckDNS) has one zone for all of them, and
  expects the customer's domain instead: see ``with_providers_zone``. For DuckDNS this holds even if
  ``zone`` says ``duckdns.org``, of which the library would make an empty domain.
- Most providers wait for their service without a timeout. Each change therefore runs in its own
  thread, which is abandoned after a timeout.

Providers raise any exception, possibly with requests that contain secrets. Only one line is passed
on, with every secret masked; the same applies to the cause, for tracebacks.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import logging
import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import quote, quote_plus

import requests

from gatecert.challenge.dns01.lexicon_catalogue import (
    accepted_options,
    option_names,
    provider_class,
)
from gatecert.challenge.dns01.secret import read_secret
from gatecert.config.configuration_finding import nearest
from gatecert.errors import ChallengeError, ProviderNotContactedError, RecordRefusedError, clean
from gatecert.public_suffixes import is_public_suffix, registrable_domain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lexicon.config import ConfigResolver
    from lexicon.interfaces import Provider as LexiconProvider

    from gatecert.challenge.dns01.zones import RecordLocation
    from gatecert.config.schema import DnsProviderSettings
    from gatecert.model import AddressRecords, TextRecord

    Place = TypeVar("Place", bound=TextRecord | RecordLocation)

# It warns at each change of what a service does not support, such as the TTL at DuckDNS.
logging.getLogger("lexicon").setLevel(logging.ERROR)

SECONDS: Final = 60.0  # for all requests of a change
DNS_01: Final = "challenges.dns-01"
DUCKDNS: Final = "duckdns"
UNAUTHORIZED: Final = {401, 403}
CLIENT_ERRORS: Final = range(400, 500)


class RecordEditor(Protocol):
    """A client that changes the records of a zone; implemented by the library's providers."""

    @property
    def domain(self) -> str:
        """The zone."""
        ...

    def list_records(self, rtype: str, name: str) -> list[dict[str, Any]]:
        """Return records; ``name`` may be relative to the zone."""
        ...

    def create_record(self, rtype: str, name: str, content: str) -> bool:
        """Add a record."""
        ...

    def update_record(self, identifier: str, rtype: str, name: str, content: str) -> bool:
        """Change a record."""
        ...

    def delete_record(self, identifier: str, rtype: str, name: str, content: str) -> bool:
        """Remove a record."""
        ...


class _ProviderError(Exception):
    """The exception of a provider, with secrets masked."""


class LexiconDnsProvider:
    """Changes the zone through dns-lexicon; see ``provider.Provider``.

    Args:
        settings: The provider's name, options and credential files.
        here: The place of the settings in the configuration, for messages.
        seconds: Time for one change.
    """

    def __init__(
        self, settings: DnsProviderSettings, *, here: str = DNS_01, seconds: float = SECONDS
    ) -> None:
        self._here = here
        self._settings = settings
        self._name = settings.provider.lower()
        self._seconds = seconds

    def publish(self, record: TextRecord) -> None:
        """Create a record."""
        self._change(
            record, lambda provider: provider.create_record("TXT", record.name, record.value)
        )

    def withdraw(self, record: TextRecord) -> None:
        """Delete a record, and no other at its name."""
        self._change(
            record,
            lambda provider: provider.delete_record(
                rtype="TXT", name=record.name, content=record.value
            ),
        )

    def replace(self, place: RecordLocation, records: AddressRecords) -> None:
        """Replace all records of one type; see ``provider.AddressProvider``."""
        self._change(place, lambda provider: replace_records(provider, place.name, records))

    def _change(
        self, record: TextRecord | RecordLocation, change: Callable[[LexiconProvider], bool]
    ) -> None:
        kind = provider_class(self._name, self._here, self._settings.own_providers)
        self._check_credentials(kind)
        if self._settings.zone is None or self._name == DUCKDNS:
            record = with_providers_zone(record)
        secrets = {
            option: read_secret(path, f"{self._here}.credentials.{option}")
            for option, path in self._settings.credentials.items()
        }

        asked = threading.Event()

        def work() -> bool:
            provider = kind(self._configuration(record.zone, secrets))
            provider.authenticate()
            try:
                asked.set()
                return change(provider)
            finally:
                provider.cleanup()

        try:
            done = _within(self._seconds, work)
        except Exception as error:  # noqa: BLE001 - providers' exceptions have no common base
            failure = _ProviderError(_masked(secrets.values(), f"{type(error).__name__}: {error}"))
            explained = self._explained(error, str(failure), record, kind)
            # A change that timed out keeps running and may still send requests.
            if not asked.is_set() and not isinstance(error, TimeoutError):
                explained = _not_asked(explained)
            raise explained from failure
        if not done:
            raise RecordRefusedError(
                f"{self._name} did not change {record.name} in the zone {record.zone}",
                fix=f"check {self._here}.zone, and that the zone can be changed",
            )

    def _configuration(self, zone: str, secrets: dict[str, str]) -> ConfigResolver:
        from lexicon.config import ConfigResolver  # noqa: PLC0415 - an optional extra

        resolver = ConfigResolver()  # type: ignore[no-untyped-call]  # the library left it out
        return resolver.with_dict(
            {
                "provider_name": self._name,
                "domain": zone,
                "ttl": int(self._settings.ttl.total_seconds()),
                self._name: {**self._settings.options, **secrets},
            }
        )

    def _explained(
        self,
        error: Exception,
        words: str,
        record: TextRecord | RecordLocation,
        kind: type[LexiconProvider],
    ) -> ChallengeError:
        """Translate a provider's exception into an error for the operator."""
        from lexicon.exceptions import AuthenticationError  # noqa: PLC0415 - an optional extra

        name, zone = self._name, f"the zone {record.zone}"
        response = getattr(error, "response", None)
        status = response.status_code if response is not None else 0
        if isinstance(error, AuthenticationError) or status in UNAUTHORIZED:
            return RecordRefusedError(
                f"{name} does not accept the credentials, or they are not for {zone}: {words}",
                fix=f"correct {self._keys}, or {self._here}.zone",
            )
        if status in CLIENT_ERRORS:
            return RecordRefusedError(
                f"{name} refuses to change {record.name} in {zone}: {words}",
                fix=f"check {self._keys} and {self._here}.zone, and that {self._here}.ttl is not "
                "below the provider's minimum",
            )
        if isinstance(error, requests.RequestException | OSError):
            return ChallengeError(
                f"{name} cannot be reached to change {zone}: {words}",
                fix="check that its service is up and reachable from this host",
            )
        options = ", ".join(sorted(option_names(kind))) or "none"
        return ChallengeError(
            f"{name} failed to change {record.name} in {zone}: {words}",
            fix=f"check that {self._keys} are complete; {name} has these options: {options}",
        )

    def _check_credentials(self, kind: type[LexiconProvider]) -> None:
        """Check that the provider has each configured credential, if it lists its options.

        Raises:
            ProviderNotContactedError: It does not know one; names those that it knows.
        """
        known, accepted = sorted(option_names(kind)), accepted_options(kind)
        for option in self._settings.credentials:
            if accepted and option not in accepted:
                hint = nearest(option, known)
                key = f"{self._here}.credentials.{clean(option, 80)}"
                raise ProviderNotContactedError(
                    f"{key}: {self._name} has no such credential",
                    fix=f"{hint} {self._name} has: {', '.join(known)}".lstrip(),
                )

    @property
    def _keys(self) -> str:
        """The configuration keys of the credentials, for messages."""
        names = [f"{self._here}.credentials.{option}" for option in self._settings.credentials]
        return " and ".join(names) or f"{self._here}.credentials"


def _not_asked(error: ChallengeError) -> ChallengeError:
    """Convert an error if it is known that nothing was changed."""
    if isinstance(error, RecordRefusedError):
        return error
    return ProviderNotContactedError(error.message, fix=error.fix)


def with_providers_zone(record: Place) -> Place:
    """Replace the zone of a record by the one that the provider expects.

    If a public suffix is one zone with all domains below it (``duckdns.org``), that is the
    registered domain (``myhome.duckdns.org``).
    """
    if not is_public_suffix(record.zone):
        return record
    return replace(record, zone=registrable_domain(record.name))


def replace_records(provider: RecordEditor, name: str, records: AddressRecords) -> bool:
    """Change as few records as possible, and none at another name."""
    kind, wanted = str(records.kind), set(records.addresses)
    found = [
        each
        for each in provider.list_records(kind, name)
        if each["type"] == kind and full_name(each["name"], provider.domain) == name
    ]
    stale = [each for each in found if _canonical(each["content"]) not in wanted]
    missing = sorted(wanted - {_canonical(each["content"]) for each in found})
    done = [
        provider.update_record(old["id"], kind, name, new)
        for old, new in zip(stale, missing, strict=False)
    ]
    done += [
        provider.delete_record(old["id"], kind, name, old["content"])
        for old in stale[len(missing) :]
    ]
    done += [provider.create_record(kind, name, new) for new in missing[len(stale) :]]
    return all(done)


def full_name(name: str, domain: str) -> str:
    """Return the name of a listed record, which some providers return relative to the zone."""
    written = name.lower().rstrip(".").removeprefix("@.")
    if written in {"", "@"}:
        return domain
    is_full = written == domain or written.endswith(f".{domain}")
    return written if is_full else f"{written}.{domain}"


def _canonical(address: str) -> str:
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(address))
    return address


def _within(seconds: float, work: Callable[[], bool]) -> bool:
    """Run a function in a thread that is abandoned after a timeout.

    Raises:
        TimeoutError: It took too long.
    """
    outcome: Future[bool] = Future()

    def run() -> None:
        try:
            outcome.set_result(bool(work()))
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
            outcome.set_exception(error)

    # A daemon thread: one that hangs must not keep the process from exiting.
    threading.Thread(target=run, name="lexicon", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError as error:
        if outcome.done():
            raise
        raise TimeoutError(f"no answer within {seconds:g} s") from error


def _masked(secrets: Iterable[str], text: str) -> str:
    """Mask every secret in a text, in any of its encodings."""
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode()
        for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), encoded):
            text = text.replace(form, "***")
    return clean(text, 300)
