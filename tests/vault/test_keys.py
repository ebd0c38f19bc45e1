"""The server's keys: read, made, found, and never told."""

import base64
import os
import stat
import threading
from pathlib import Path

import pytest

from queue_server.domain.errors import CannotStart, InvalidSetting, SecretUnavailable
from queue_server.vault.keys import Keys, keys_of, make_key, read_key

ONE, TWO = bytes(range(32)), bytes(range(100, 132))


def in_base64(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


def test_key_is_base64_of_both_alphabets_or_hex():
    secret = b"\xfb\xff" * 16
    texts = [
        in_base64(secret),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        secret.hex(),
        secret.hex().upper(),
    ]
    assert {key.secret for text in texts for key in keys_of(text)} == {secret}


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n"])
def test_keys_are_listed_newest_first(between):
    keys = keys_of(f"{in_base64(ONE)}{between}{TWO.hex()}")
    assert [key.secret for key in keys] == [ONE, TWO]
    assert keys[0].id != keys[1].id


@pytest.mark.parametrize("wrong", ["swordfish", in_base64(ONE[:31]), ONE.hex()[:-1], ONE.hex() + "00", "ö" * 32])
def test_wrong_key_is_an_invalid_setting_that_is_not_told(wrong, tmp_path):
    with pytest.raises(InvalidSetting, match=r"^secret_key: its key is not 32 bytes as base64 or hex") as caught:
        Keys(wrong, tmp_path / "key")
    assert wrong not in str(caught.value)
    with pytest.raises(InvalidSetting, match="key 2 of 2"):
        keys_of(f"{ONE.hex()} {wrong}")


def test_file_is_made_at_first_need_for_its_owner_only(tmp_path):
    path = tmp_path / "q.db.key"
    mask = os.umask(0)
    try:
        keys = Keys("", path)
        assert not path.exists()
        made = keys.newest()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]
    assert base64.b64decode(path.read_text()) == made.secret
    assert Keys("", path).newest() == keys.newest() == made


def test_file_is_made_once_by_threads_and_processes(tmp_path):
    path = tmp_path / "key"
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(make_key(path).secret)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert set(found) == {base64.b64decode(path.read_text())}
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(CannotStart, match="others may read the key file"):
        Keys("", path)


def test_file_that_holds_no_key_is_refused_and_not_told(tmp_path):
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text("swordfish")
    with pytest.raises(CannotStart, match="holds no key") as caught:
        read_key(path)
    assert "swordfish" not in str(caught.value)


def test_folder_that_takes_no_file_is_a_clear_error(tmp_path):
    with pytest.raises(SecretUnavailable, match="can't be made: No such file or directory"):
        Keys("", tmp_path / "missing" / "key").newest()


def test_setting_seals_and_the_file_still_opens(tmp_path):
    own = make_key(tmp_path / "key")
    keys = Keys(f"{in_base64(ONE)} {in_base64(TWO)}", tmp_path / "key")
    assert keys.newest().secret == ONE
    assert keys.find(own.id) == own
    assert keys.find(keys_of(in_base64(TWO))[0].id).secret == TWO


def test_missing_key_is_named_by_its_id(tmp_path):
    with pytest.raises(SecretUnavailable, match=r"the key 0badcafe, .* secret_key"):
        Keys(in_base64(ONE), Path(tmp_path / "key")).find("0badcafe")


def test_keys_do_not_show_in_tracebacks():
    key = keys_of(ONE.hex())[0]
    assert repr(key) == f"Key({key.id})"
