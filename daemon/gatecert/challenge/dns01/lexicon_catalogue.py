"""The providers of dns-lexicon and their options, and wrong ones in a configuration.

Providers describe their options with argparse. Some read options that they do not describe, which
are found in their source: they are accepted, but not suggested.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
from typing import TYPE_CHECKING, Final

from gatecert.config.configuration_finding import Finding, nearest
from gatecert.errors import ProviderNotContactedError, clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexicon.interfaces import Provider as LexiconProvider

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import DnsProviderSettings

AUTO_PROVIDER: Final = "auto"  # the library's provider that guesses the actual one
LONGEST_NAME: Final = 80
_READ_OPTION: Final = re.compile(r"""_get_provider_option\(\s*["']([\w-]+)["']""")
CREDENTIAL: Final = "auth_"
USUAL_CREDENTIAL: Final = "auth_token"  # what has it works with no credential at all only if it …
OWN_CREDENTIALS: Final = {"route53"}  # … finds some by itself, as boto3 does


def provider_class(name: str, here: str, own: tuple[str, ...]) -> type[LexiconProvider]:
    """Return the class of a provider.

    Args:
        name: The provider's name.
        here: The place of the settings in the configuration, for messages.
        own: The names of gatecert's own providers.

    Raises:
        ProviderNotContactedError: There is none of that name, or what it needs is not installed.
    """
    try:
        from lexicon._private.discovery import (  # noqa: PLC0415 - an optional extra
            find_providers,
            load_provider_module,
        )
    except ImportError as error:
        raise ProviderNotContactedError(
            f"the DNS provider {clean(name, LONGEST_NAME)} needs dns-lexicon, which is not "
            "installed",
            fix=f"install gatecert[dns], or set {here}.provider to {' or '.join(own)}",
        ) from error
    known = find_providers()
    if name not in known or name == AUTO_PROVIDER:
        everyone = (*own, *(each for each in known if each != AUTO_PROVIDER))
        raise ProviderNotContactedError(
            f"{here}.provider: there is no DNS provider {clean(name, LONGEST_NAME)}",
            fix=nearest(name, everyone, f"one of {', '.join(everyone)}"),
        )
    try:
        kind: type[LexiconProvider] = load_provider_module(name).Provider
    except ImportError as error:
        raise _needs_more(name) from error
    if not known[name]:
        raise _needs_more(name)
    return kind


def _needs_more(name: str) -> ProviderNotContactedError:
    return ProviderNotContactedError(
        f"the DNS provider {name} needs further packages, which are not installed",
        fix=f"install dns-lexicon[{name}] where gatecert is installed",
    )


def option_names(kind: type[LexiconProvider]) -> set[str]:
    """Return the names of a provider's options; empty if it does not list them."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    kind.configure_parser(parser)
    with contextlib.suppress(argparse.ArgumentError, SystemExit):
        return set(vars(parser.parse_known_args([])[0]))
    return set()


def accepted_options(kind: type[LexiconProvider]) -> set[str]:
    """Return the options that a provider lists or reads; empty if it does not list them."""
    listed = option_names(kind)
    return listed | _options_in_source(kind) if listed else set()


def findings(where: Location, settings: DnsProviderSettings) -> Iterator[Finding]:
    """Yield a provider that does not exist, and options that it does not have.

    Args:
        where: The location of the settings.
        settings: The provider and its options; its credentials are not read.
    """
    name, here = settings.provider.lower(), ".".join(map(str, where))
    if name in settings.own_providers:
        return
    try:
        kind = provider_class(name, here, settings.own_providers)
    except ProviderNotContactedError as error:
        what = f"{error.message}; {error.fix}".removeprefix(f"{here}.provider: ")
        yield Finding((*where, "provider"), what)
        return
    known = sorted(option_names(kind))
    if known:
        wrong = list(_wrong_options(where, settings, accepted_options(kind), known))
        yield from wrong or _missing_credentials(where, settings, known)


def _wrong_options(
    where: Location, settings: DnsProviderSettings, accepted: set[str], known: list[str]
) -> Iterator[Finding]:
    """Yield options that a provider does not have."""
    for group, written in (("options", settings.options), ("credentials", settings.credentials)):
        for option in written:
            if option not in accepted:
                hint = " ".join(filter(None, (nearest(option, known), "it has")))
                what = f"{settings.provider} has no such option; {hint} {', '.join(known)}"
                yield Finding((*where, group, option), what)


def _missing_credentials(
    where: Location, settings: DnsProviderSettings, known: list[str]
) -> Iterator[Finding]:
    """Yield that no credential is set, unless the provider may find one by itself."""
    given = {*settings.options, *settings.credentials}
    usual = USUAL_CREDENTIAL in known and settings.provider.lower() not in OWN_CREDENTIALS
    if usual and not any(each.startswith(CREDENTIAL) for each in given):
        credentials = ", ".join(each for each in known if each.startswith(CREDENTIAL))
        what = f"is empty, and {settings.provider} needs a credential, each in a file"
        yield Finding((*where, "credentials"), f"{what}; it has {credentials}")


def _options_in_source(kind: type[LexiconProvider]) -> set[str]:
    """Return the options that a provider reads, as far as its source tells."""
    try:
        return set(_READ_OPTION.findall(inspect.getsource(kind)))
    except (OSError, TypeError):  # without its source
        return set()
