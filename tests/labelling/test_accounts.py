"""Names that could be taken for others, and passwords that are easy to guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from labelling.store import Store, accounts, names, passwords
from labelling.store import tables as t
from modules.errors import InputError

PASSWORD = "correct horse battery staple"
OTHERS = ["Anna", "ben1", "moore", "coco", "Ian", "IO", "müller", "paypal admin"]


@pytest.mark.parametrize(
    ("name", "other"),
    [("anna", "Anna"), ("ANNA", "Anna"), ("benl", "ben1"), ("benI", "ben1"), ("rnoore", "moore"), ("сосо", "coco"),
     ("СОСО", "coco"), ("lan", "Ian"), ("10", "IO"), ("MÜLLER", "müller"), ("mu\u0308ller", "müller"),
     ("paypaI admin", "paypal admin")],
)  # fmt: skip
def test_names_that_look_like_another_are_refused(name: str, other: str) -> None:
    assert names.taken_for(name, OTHERS) == other


def test_names_that_look_different_are_not() -> None:
    team = ["ann", "anna", "hanna", "w1", "w2", "w10", "w12", "ben", "Bernd", "дима", "山田", "müller", "muller"]
    assert [names.taken_for(name, [one for one in team if one != name]) for name in team] == [None] * len(team)


@pytest.mark.parametrize(
    "name",
    ["", " x", "x ", "a\nb", "a  b", "x" * 101, "аnna", "ann\u0430", "αdmin", "ﬁn", "ａｎｎａ", "①", "a\u200bb",
     "a\u202eb", "a\ufe0fb", "a\u115fb", "\u3164", "a\u00a0b", "x" + "\u0301" * 9, "--", "1\u0661", "a☃", "\udc80"],
)  # fmt: skip
def test_names_that_hide_what_they_are_are_refused(name: str) -> None:
    assert names.unusable(name)


@pytest.mark.parametrize(
    "name",
    ["anna", "Anna Müller", "o'neil+x@example.com", "w10", "дима", "Ελένη", "山田 taro", "ひらがな", "김민수",
     "मीना", "สมชาย", "مريم", "Nguyễn", "李小龙"],
)  # fmt: skip
def test_names_of_people_are_taken(name: str) -> None:
    assert names.unusable(name) is None


@given(st.text(min_size=1, max_size=20))
def test_a_name_is_always_taken_for_itself_in_any_case(name: str) -> None:
    assert names.taken_for(name, [name]) == name
    if len(name.upper()) == len(name) and name.upper().casefold() == name.casefold():
        assert names.taken_for(name.upper(), [name]) == name
    assert names.skeleton(names.skeleton(name)) == names.skeleton(name)


def test_accounts_that_are_there_keep_their_names(tmp_path: Path) -> None:
    with Store(tmp_path / "labels.sqlite") as store, store.write() as connection:
        accounts.put(connection, "Anna", 1, password=PASSWORD)
        for old in ("anna", "аnna", "e\u0301ve"):  # as earlier versions took them
            row = {"name": old, "password": "", "role": "labeller", "active": False, "time": 1}
            connection.execute(insert(t.accounts).values(row))
            assert not accounts.put(connection, old, 2, password=PASSWORD)
            assert accounts.check(connection, old, PASSWORD) == old
        with pytest.raises(InputError, match="could take it for the account 'Anna'.*looks different"):
            accounts.put(connection, "ANNA", 3, password=PASSWORD)
        accounts.deactivate(connection, "Anna", 4)
        with pytest.raises(InputError, match="could take it for"):  # its labels are still there
            accounts.put(connection, "ANNA", 5, password=PASSWORD)


def test_a_name_is_found_however_it_is_encoded(tmp_path: Path) -> None:
    with Store(tmp_path / "labels.sqlite") as store, store.write() as connection:
        assert accounts.put(connection, "mu\u0308ller", 1, password=PASSWORD)
        assert not accounts.put(connection, "m\u00fcller", 2, role="admin")
        assert [one.name for one in accounts.everybody(connection)] == ["m\u00fcller"]
        assert accounts.check(connection, "mu\u0308ller", PASSWORD) == "m\u00fcller"
        assert accounts.check(connection, "muller", PASSWORD) is None


@pytest.mark.parametrize(
    "password",
    ["password123", "PASSWORD123", "P@ssw0rd123", "ｐａｓｓｗｏｒｄ１２３", "pässwörd123", "1234567890", "qwertyuiop",
     "aaaaaaaaaaaa", "abcabcabcabc", "abcdefghijkl", "iloveyou12", "letmein2024", "shelfmark1", "Shelfmark2026!",
     "annamuster", "annamuster1", "AnnaMuster99", "musteranna1", "x" * 500, " " * 12, "password" + " " * 12],
)  # fmt: skip
def test_common_passwords_are_refused_and_not_repeated(password: str) -> None:
    found = passwords.unusable(password, "anna muster")
    assert found is not None and "hard to guess" in found[0]
    assert password not in " ".join(found)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "another fine password", "kX9#vQ2mLp", "marzipan kaffee", "мой кот любит рыбу",
     "四つの 犬が 歩いて いる", "\U0001f40e" * 3 + " zaun lila",
     PASSWORD * 17],
)  # fmt: skip
def test_passwords_of_random_words_are_taken(password: str) -> None:
    assert passwords.unusable(password, "anna muster") is None


@given(st.text(max_size=600), st.text(max_size=20))
def test_every_password_gets_an_answer(password: str, account: str) -> None:
    found = passwords.unusable(password, account)
    assert found is None or all(found)
