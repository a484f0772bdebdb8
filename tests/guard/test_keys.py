import pytest

from limner.core.errors import NoEntry
from limner.guard.keys import Keys

KEYS = {"ann": "k" * 16, "bob": "b" * 20}


@pytest.mark.parametrize("key", [None, "", "anything", "k" * 16])
def test_without_keys_everybody_is_the_local_user(key):
    keys = Keys({})
    assert (keys.asked, keys.who(key)) == (False, "local")


def test_a_key_tells_who_asks():
    keys = Keys(KEYS)
    assert (keys.asked, keys.who("k" * 16), keys.who("b" * 20)) == (True, "ann", "bob")


@pytest.mark.parametrize("key", [None, ""])
def test_a_locked_door_asks_for_the_key(key):
    with pytest.raises(NoEntry, match="this server asks for a key: send it as Authorization: Bearer KEY"):
        Keys(KEYS).who(key)


@pytest.mark.parametrize("key", ["k" * 15, "k" * 17, "ann", "\udcff", "ключ"])
def test_a_wrong_key_opens_nothing_and_is_not_repeated(key):
    with pytest.raises(NoEntry) as caught:
        Keys(KEYS).who(key)
    assert str(caught.value) == "the key is not one of this server's; ask its owner for one"
