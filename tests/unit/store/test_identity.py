from __future__ import annotations

import os
import pwd

import pytest

from gatecert.errors import StorageError
from gatecert.store import identity


def test_names_and_numbers() -> None:
    assert identity.user_number("root") == 0
    assert identity.group_number("root") == 0
    assert identity.user_number("1234") == 1234
    assert identity.group_number("1234") == 1234
    assert identity.user_number(None) == identity.UNCHANGED
    assert identity.group_number(None) == identity.UNCHANGED


def test_unknown_ones() -> None:
    with pytest.raises(StorageError, match="no user 'no-such-user'"):
        identity.user_number("no-such-user")
    with pytest.raises(StorageError, match="no group '²'"):
        identity.group_number("²")


def test_a_user_without_a_name_is_its_number() -> None:
    assert identity.user_name(3_999_999_999) == "3999999999"
    assert identity.current_user() == pwd.getpwuid(os.geteuid()).pw_name
