from __future__ import annotations

import grp
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


@pytest.mark.parametrize(
    ("group", "members", "is_own"),
    [("root", [], True), ("root", ["root"], True), ("root", ["alice"], False), ("adm", [], False)],
)
def test_a_group_of_one_user_has_its_name_and_no_other_member(
    monkeypatch: pytest.MonkeyPatch, group: str, members: list[str], *, is_own: bool
) -> None:
    entry = grp.struct_group((group, "x", 4242, members))
    monkeypatch.setattr(grp, "getgrgid", lambda _: entry)
    assert users_and_groups.is_own_group(0, 4242) is is_own


def test_a_group_without_a_name_is_that_of_the_user_with_its_number() -> None:
    assert users_and_groups.is_own_group(3_999_999_999, 3_999_999_999)
    assert not users_and_groups.is_own_group(0, 3_999_999_999)
