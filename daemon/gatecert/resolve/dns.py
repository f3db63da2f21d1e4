"""Asks nameservers for the addresses of names, and for their CAA records.

All record types of all names are asked for at once, each in a thread of its own, and the timeout is
the total for all of them: what has not been answered by then has timed out, whatever a nameserver,
the C library or the wall clock is doing. Nothing is cached here; whom to ask is read again from
resolv.conf(5) when that file changes.

How a question is put and how answers are read stands in ``resolve.query``; how both families make
one result in ``resolve.lookup``.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.deadline import Deadline
from gatecert.errors import ResolutionError
from gatecert.resolve.caa import CaaAnswer, CaaPolicy, domains_to_query, relevant_policy
from gatecert.resolve.gateway_addresses import is_internal
from gatecert.resolve.hosts import matching_lines
from gatecert.resolve.lookup import Family, FamilyAnswer, LookupResult, LookupStatus, combine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from gatecert.model import Endpoint
    from gatecert.resolve.query import StubResolver

logger = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
MAX_PARALLEL_QUERIES = 16

_FileState = tuple[int, int, int] | None


class Resolver:
    """Looks up A and AAAA at the configured nameservers, or at the system's.

    Args:
        nameservers: Whom to ask, by address or by name; empty means the system's.
        timeout: Total time for one call of ``look_up``.
        resolv_conf: Where the system's are written.
        hosts: What is looked at to explain an answer, never to find one.
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

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        """The addresses of each name (A-labels), in the order of the names; never raises."""
        if not names:
            return ()
        deadline = Deadline.after(self._seconds)
        threads = min(len(names) * len(Family), MAX_PARALLEL_QUERIES)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="dns")
        try:
            return self._look_up(names, pool, deadline)
        finally:
            # A thread that is still at it ends by itself soon after the deadline.
            pool.shutdown(wait=False, cancel_futures=True)

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        """Which CAA records count for each name, in the order of the names; never raises."""
        domains = tuple(
            dict.fromkeys(domain for name in names for domain in domains_to_query(name))
        )
        if not domains:
            return ()
        deadline = Deadline.after(self._seconds)
        pool = ThreadPoolExecutor(min(len(domains), MAX_PARALLEL_QUERIES), thread_name_prefix="caa")
        try:
            answers = self._ask_for_caa(domains, pool, deadline)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return tuple(relevant_policy(name, answers) for name in names)

    def _ask_for_caa(
        self, domains: Sequence[str], pool: ThreadPoolExecutor, deadline: Deadline
    ) -> dict[str, CaaAnswer]:
        from gatecert.resolve import query  # noqa: PLC0415 - late, as in _look_up

        try:
            stub = pool.submit(self._stub).result(timeout=deadline.remaining)
        except (ResolutionError, TimeoutError) as error:
            failure = str(error) or "the nameservers' own names were not found in time"
            return dict.fromkeys(domains, CaaAnswer(failure=failure))
        asked = {domain: pool.submit(query.query_caa, stub, domain, deadline) for domain in domains}
        wait(asked.values(), timeout=deadline.remaining)
        late = CaaAnswer(failure=f"no answer from {stub.nameservers} in {self._seconds:g} s")
        return {
            domain: future.result() if future.done() else late for domain, future in asked.items()
        }

    def _look_up(
        self, names: Sequence[str], pool: ThreadPoolExecutor, deadline: Deadline
    ) -> tuple[LookupResult, ...]:
        # Late: dnspython takes 60 ms to import, and the bootstrap certificate comes first.
        from gatecert.resolve import query  # noqa: PLC0415 - as said above

        try:
            stub = pool.submit(self._stub).result(timeout=deadline.remaining)
        except ResolutionError as error:
            return tuple(
                LookupResult(name, LookupStatus.SERVER_FAILURE, detail=str(error)) for name in names
            )
        except TimeoutError:
            detail = "the nameservers' own names were not found in time"
            return tuple(LookupResult(name, LookupStatus.TIMEOUT, detail=detail) for name in names)
        asked = {
            name: [
                (each, pool.submit(query.query_addresses, stub, name, each, deadline))
                for each in Family
            ]
            for name in names
        }
        wait(
            [future for pending in asked.values() for _, future in pending],
            timeout=deadline.remaining,
        )
        late = f"no answer from {stub.nameservers} in {self._seconds:g} s"
        found = tuple(
            self._with_source(
                combine(name, [_answer(family, future, late) for family, future in asked[name]]),
                stub.nameservers,
            )
            for name in names
        )
        for each in found:
            logger.debug(
                "looked up name=%s ending=%s addresses=%s nameservers=%s",
                each.name, each.status, ",".join(each.addresses), stub.nameservers,
            )  # fmt: skip
        return found

    def _with_source(self, lookup: LookupResult, nameservers: str) -> LookupResult:
        inside = [each for each in lookup.addresses if is_internal(each)]
        lines = matching_lines(lookup.name, inside, self._hosts) if inside else ()
        return replace(lookup, nameservers=nameservers, hosts_lines=lines)

    def _stub(self) -> StubResolver:
        from gatecert.resolve import query  # noqa: PLC0415 - late, as in _look_up

        if self._nameservers:
            return query.configured_stub(self._nameservers, self._seconds)
        state = _file_state(self._resolv_conf)
        if self._system is None or self._system[0] != state:
            self._system = (state, query.system_stub(self._resolv_conf, self._seconds))
            logger.debug("nameservers=%s file=%s", self._system[1].nameservers, self._resolv_conf)
        return self._system[1]


def _answer(family: Family, future: Future[FamilyAnswer], late: str) -> FamilyAnswer:
    if future.done():
        return future.result()
    return FamilyAnswer(family, LookupStatus.TIMEOUT, detail=late)


def _file_state(path: Path) -> _FileState:
    """What tells one version of a file from the next, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
