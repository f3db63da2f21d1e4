"""The table of DNS plug-ins against dns-lexicon itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest
from lexicon._private.discovery import load_provider_module

from gatecert.adoption.provider_table import ACME_SH, CERTBOT

if TYPE_CHECKING:
    from gatecert.adoption.provider_table import Equal

EVERY = [*CERTBOT.items(), *ACME_SH.items()]


@pytest.mark.parametrize(("name", "equal"), EVERY, ids=[name for name, _ in EVERY])
def test_the_provider_knows_every_option(name: str, equal: Equal) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    load_provider_module(equal.provider).Provider.configure_parser(parser)
    known = set(vars(parser.parse_args([])))

    wanted = {option for each in equal.credentials for option in each} | set(equal.options)

    assert wanted <= known, name
