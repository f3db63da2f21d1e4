"""Look-ups of addresses and CAA records.

All record types of all names are queried at once, each in a thread of its own, and the timeout is
the total for all of them: a query without an answer by then has timed out, whatever the nameserver,
the C library or the wall clock does. Threads are used again. No answer is cached; resolv.conf(5) is
read again when it changes.

``resolve.stub_resolver`` sends queries and reads answers; ``resolve.lookup`` combines the answers
of both address families.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatecert.deadline import Deadline
from gatecert.errors import ResolutionError
from gatecert.resolve.caa import CaaAnswer, CaaPolicy, domains_to_query, relevant_policy
from gatecert.resolve.gateway_addresses import is_internal
from gatecert.resolve.hosts_file import matching_lines
from gatecert.resolve.lookup import Family, FamilyAnswer, LookupResult, LookupStatus, combine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from gatecert.model import Endpoint
    from gatecert.resolve.stub_resolver import StubResolver

logger = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
MAX_PARALLEL_QUERIES = 256  # of all gateways; a nameserver that does not answer blocks none
NAMESERVERS_UNKNOWN = "the addresses of the nameservers were not found in time"

_FileState = tuple[int, int, int] | None


class Resolver:
    """Looks up A, AAAA and CAA records at the configured nameservers, or at the system's.

    Args:
        nameservers: Addresses or host names; empty means the system's.
        timeout: Total time for one call.
        resolv_conf: Lists the system's nameservers.
        hosts: Read to explain an answer, never to find one.
    """

    def __init__(
        self,
        nameservers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        resolv_conf: Path = RESOLV_CONF,
        hosts: Path = HOSTS,
    ) -> None:
        self._nameservers = tuple(nameservers)
        self._seconds = timeout.total_seconds()
        self._resolv_conf = resolv_conf
        self._hosts = hosts
        self._system: tuple[_FileState, StubResolver] | None = None
        self._configured: StubResolver | None = None
        self._pool = ThreadPoolExecutor(MAX_PARALLEL_QUERIES, thread_name_prefix="dns")

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        """Look up the addresses of names (A-labels), in their order; never raises."""
        if not names:
            return ()
        deadline = Deadline.after(self._seconds)
        return self._look_up(names, deadline)

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        """Look up the CAA records relevant to names, in their order; never raises."""
        domains = dict.fromkeys(domain for name in names for domain in domains_to_query(name))
        if not domains:
            return ()
        answers = self._query_caa(tuple(domains), Deadline.after(self._seconds))
        return tuple(relevant_policy(name, answers) for name in names)

    def _query_caa(self, domains: Sequence[str], deadline: Deadline) -> dict[str, CaaAnswer]:
        try:
            stub = self._stub(deadline)
        except (ResolutionError, TimeoutError) as error:
            return dict.fromkeys(domains, CaaAnswer(failure=str(error) or NAMESERVERS_UNKNOWN))
        queries = {
            domain: self._pool.submit(stub.query_caa, domain, deadline) for domain in domains
        }
        _wait(queries.values(), deadline)
        timeout = CaaAnswer(failure=self._no_answer(stub))
        return {
            domain: future.result() if future.done() and not future.cancelled() else timeout
            for domain, future in queries.items()
        }

    def _look_up(self, names: Sequence[str], deadline: Deadline) -> tuple[LookupResult, ...]:
        try:
            stub = self._stub(deadline)
        except ResolutionError as error:
            return tuple(
                LookupResult(name, LookupStatus.SERVER_FAILURE, detail=str(error)) for name in names
            )
        except TimeoutError:
            return tuple(
                LookupResult(name, LookupStatus.TIMEOUT, detail=NAMESERVERS_UNKNOWN)
                for name in names
            )
        queries = {
            name: [
                (each, self._pool.submit(stub.query_addresses, name, each, deadline))
                for each in Family
            ]
            for name in names
        }
        _wait([future for pending in queries.values() for _, future in pending], deadline)
        timeout = self._no_answer(stub)
        results = tuple(
            self._with_source(
                combine(
                    name, [_answer(family, future, timeout) for family, future in queries[name]]
                ),
                stub.nameservers,
            )
            for name in names
        )
        for each in results:
            logger.debug(
                "looked up name=%s ending=%s addresses=%s nameservers=%s",
                each.name, each.status, ",".join(each.addresses), stub.nameservers,
            )  # fmt: skip
        return results

    def _with_source(self, lookup: LookupResult, nameservers: str) -> LookupResult:
        internal = [each for each in lookup.addresses if is_internal(each)]
        lines = matching_lines(lookup.name, internal, self._hosts) if internal else ()
        return replace(lookup, nameservers=nameservers, hosts_lines=lines)

    def _no_answer(self, stub: StubResolver) -> str:
        return f"no answer from {stub.nameservers} in {self._seconds:g} s"

    def _stub(self, deadline: Deadline) -> StubResolver:
        """Return what sends the queries.

        Raises:
            ResolutionError: No nameserver has an address.
            TimeoutError: Their addresses were not found in time.
        """
        # dnspython takes 60 ms to import, and the bootstrap certificate comes first.
        from gatecert.resolve import stub_resolver  # noqa: PLC0415 - saves start-up time

        if self._configured is not None:
            return self._configured
        if self._nameservers:
            build = partial(stub_resolver.configured_stub, self._nameservers, self._seconds)
            if not all(stub_resolver.is_address(each.host) for each in self._nameservers):
                return self._pool.submit(build).result(timeout=deadline.remaining)
            self._configured = build()
            return self._configured
        state = _file_state(self._resolv_conf)
        if self._system is None or self._system[0] != state:
            self._system = (state, stub_resolver.system_stub(self._resolv_conf, self._seconds))
            logger.debug("nameservers=%s file=%s", self._system[1].nameservers, self._resolv_conf)
        return self._system[1]


def _wait(queries: Collection[Future[Any]], deadline: Deadline) -> None:
    """Wait for queries; those that still run after the deadline end soon, others never begin."""
    _, late = wait(queries, timeout=deadline.remaining)
    for each in late:
        each.cancel()


def _answer(family: Family, future: Future[FamilyAnswer], timeout: str) -> FamilyAnswer:
    if future.done() and not future.cancelled():
        return future.result()
    return FamilyAnswer(family, LookupStatus.TIMEOUT, detail=timeout)


def _file_state(path: Path) -> _FileState:
    """Return a value that changes when the file does; None for a missing file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
