from __future__ import annotations

import os
import pwd

import pytest

from gatecert.errors import StorageError
from gatecert.store import users_and_groups


def test_names_and_numbers() -> None:
    assert users_and_groups.user_number("root") == 0
    assert users_and_groups.group_number("root") == 0
    assert users_and_groups.user_number("1234") == 1234
    assert users_and_groups.group_number("1234") == 1234
    assert users_and_groups.user_number(None) == users_and_groups.UNCHANGED
    assert users_and_groups.group_number(None) == users_and_groups.UNCHANGED


def test_unknown_users_and_groups() -> None:
    with pytest.raises(StorageError, match="no user 'no-such-user'"):
        users_and_groups.user_number("no-such-user")
    with pytest.raises(StorageError, match="no group '²'"):
        users_and_groups.group_number("²")


def test_a_user_without_a_name_is_shown_by_number() -> None:
    assert users_and_groups.user_name(3_999_999_999) == "3999999999"
    assert users_and_groups.current_user() == pwd.getpwuid(os.geteuid()).pw_name
