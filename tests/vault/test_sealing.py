"""What is sealed can be opened with its key, for its place, unchanged; and not otherwise."""

import base64
import os

import pytest
from hypothesis import strategies as st

from queue_server.domain.errors import SecretUnavailable
from queue_server.vault.keys import Keys
from queue_server.vault.sealing import Vault
from tests.builders.properties import for_all

ONE, TWO = os.urandom(32).hex(), os.urandom(32).hex()
PLACE = "/headers/Authorization"


def vault(tmp_path, keys: str = ONE) -> Vault:
    return Vault(Keys(keys, tmp_path / "key"))


def test_any_text_comes_back(tmp_path):
    sealing = vault(tmp_path)

    def comes_back(text: str) -> None:
        assert sealing.open(sealing.seal(text, PLACE), PLACE) == text

    for_all(st.text(), comes_back)


def test_sealed_text_begins_with_its_key_and_is_never_the_same(tmp_path):
    sealing = vault(tmp_path)
    sealed = {sealing.seal("swordfish", PLACE) for _ in range(100)}
    assert len(sealed) == 100
    assert {text.split(".")[1] for text in sealed} == {sealing.newest_id}
    assert not any("swordfish" in text or base64.b64encode(b"swordfish")[:-2].decode() in text for text in sealed)


def test_text_can_not_be_moved_to_another_place(tmp_path):
    sealing = vault(tmp_path)
    with pytest.raises(SecretUnavailable, match=f"that key {sealing.newest_id} sealed has been damaged or moved"):
        sealing.open(sealing.seal("swordfish", PLACE), "/body")


def test_no_changed_byte_goes_unseen(tmp_path):
    sealing = vault(tmp_path)
    head, _, text = sealing.seal("swordfish", PLACE).rpartition(".")
    data = bytearray(base64.b64decode(text))
    for place in range(len(data)):
        data[place] ^= 1
        with pytest.raises(SecretUnavailable, match="damaged"):
            sealing.open(f"{head}.{base64.b64encode(data).decode()}", PLACE)
        data[place] ^= 1


@pytest.mark.parametrize("wrong", ["", "1", "1.", "2.abc.def", "plain text", "1.%s.", "1.%s.AAAA", "1.%s.!", "1.%s.ö"])
def test_what_is_not_sealed_is_a_clear_error(tmp_path, wrong):
    sealing = vault(tmp_path)
    with pytest.raises(SecretUnavailable):
        sealing.open(wrong.replace("%s", sealing.newest_id), PLACE)


def test_older_keys_open_what_they_have_sealed(tmp_path):
    sealed = vault(tmp_path, ONE).seal("swordfish", PLACE)
    rotated = vault(tmp_path, f"{TWO} {ONE}")
    assert rotated.open(sealed, PLACE) == "swordfish"
    assert rotated.seal("x", PLACE).split(".")[1] != sealed.split(".")[1]
    with pytest.raises(SecretUnavailable, match=sealed.split(".")[1]):
        vault(tmp_path, TWO).open(sealed, PLACE)
