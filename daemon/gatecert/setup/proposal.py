"""The configuration that follows from the answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gatecert.config.extension import Additions
from gatecert.config.well_known import PUBLIC_CAS, by_directory
from gatecert.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.config.schema import Configuration
    from gatecert.setup.challenge_choice import ChallengeChoice
    from gatecert.setup.server_plan import ServerPlan

DEFAULT_AUTHORITY: Final = "letsencrypt"
PRIVATE_AUTHORITY: Final = "private"
_UNSAFE: Final = re.compile(r"[^a-z0-9_-]+")
LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class AuthorityChoice:
    """The CA of the gateway.

    Attributes:
        name: Its name in the configuration.
        directory_url: Its directory, or its short name.
        is_written: Whether the configuration has it already.
        needs_terms: Whether the operator has to agree to its terms of service.
        more: Further settings.
    """

    name: str
    directory_url: str = ""
    is_written: bool = False
    needs_terms: bool = True
    more: Mapping[str, object] = field(default_factory=dict)

    def settings(self, contact: str) -> dict[str, object]:
        """Return the settings to write, with the mail address of the operator."""
        found: dict[str, object] = {}
        if self.directory_url and self.name not in PUBLIC_CAS:
            found["directory_url"] = self.directory_url
        if contact:
            found["contact"] = [contact]
        return {**found, "terms_of_service_agreed": True, **self.more}


def choose_authority(
    written: Configuration | None,
    *,
    name: str = "",
    directory_url: str = "",
    more: Mapping[str, object] | None = None,
) -> AuthorityChoice:
    """Return the CA: the one that is asked for, else the first that is written, else the default.

    Raises:
        WrongUsageError: It needs settings that only the operator knows, or is contradictory.
    """
    known = written.authorities if written is not None else {}
    if name in known or (not name and not directory_url and known):
        chosen = name or next(iter(known))
        if directory_url and known[chosen].directory_url != directory_url:
            raise WrongUsageError(
                f"--directory-url {directory_url}: the configuration has another directory for "
                f"{chosen}; choose another name with --authority"
            )
        if not known[chosen].terms_of_service_agreed:
            raise WrongUsageError(
                f"authorities.{chosen}.terms_of_service_agreed is not set in the configuration; "
                "read the CA's terms of service, set it to true, and run this again"
            )
        return AuthorityChoice(chosen, is_written=True, needs_terms=False)
    if directory_url in PUBLIC_CAS:
        name, directory_url = name or directory_url, ""
    public = PUBLIC_CAS.get(name) or by_directory(directory_url)
    if name and not directory_url and name not in PUBLIC_CAS:
        raise WrongUsageError(
            f"--authority {name}: give its directory with --directory-url, or use one of "
            f"{', '.join(PUBLIC_CAS)}"
        )
    if public is not None and public.external_account:
        raise WrongUsageError(
            f"{name or directory_url} requires an external account: write it into the "
            "configuration as docs/authorities.md says, and run this again"
        )
    if not name:
        same = next((key for key, ca in PUBLIC_CAS.items() if ca == public), PRIVATE_AUTHORITY)
        name = same if directory_url else DEFAULT_AUTHORITY
    return AuthorityChoice(name, directory_url, more=more or {})


def gateway_name(hostname: str, taken: Sequence[str]) -> str:
    """Return a name for a gateway: the first label of its hostname, or more if that is taken."""
    labels = hostname.removeprefix("*.").split(".")
    for count in range(1, len(labels) + 1):
        name = _UNSAFE.sub("-", "-".join(labels[:count]))[:LONGEST_NAME].strip("-")
        if name and name not in taken:
            return name
    raise WrongUsageError(f"every name for a gateway {hostname} is taken; choose one with --name")


def additions(  # noqa: PLR0913, PLR0917 - each is an answer
    name: str,
    hostname: str,
    plan: ServerPlan,
    challenge: ChallengeChoice,
    authority: AuthorityChoice,
    written: Configuration | None,
    *,
    contact: str = "",
    addresses: Sequence[str] = (),
    reload: Sequence[str] = (),
    is_challenge_fixed: bool = False,
) -> Additions:
    """Return what to add to the configuration.

    Args:
        name: The gateway's name.
        hostname: Its hostname.
        plan: What its server needs.
        challenge: How it is validated.
        authority: Its CA.
        written: The configuration so far.
        contact: The operator's mail address.
        addresses: Its addresses; empty if they are detected.
        reload: The command that reloads the server; empty if systemd does.
        is_challenge_fixed: Whether the operator has asked for this challenge.
    """
    gateway: dict[str, object] = {"hostname": hostname}
    if addresses:
        gateway["addresses"] = list(addresses)
    if is_challenge_fixed:
        gateway["challenge"] = challenge.kind
    if written is not None and list(written.authorities)[:1] not in ([], [authority.name]):
        gateway["authorities"] = [authority.name]
    if plan.key:
        gateway["key"] = dict(plan.key)
    install = dict(plan.install)
    inherits = written is not None and written.defaults.install.reload
    if reload or inherits:
        install["reload"] = list(reload)
    if install:
        gateway["install"] = install
    authorities = {} if authority.is_written else {authority.name: authority.settings(contact)}
    return Additions({name: gateway}, authorities, challenge.settings)
