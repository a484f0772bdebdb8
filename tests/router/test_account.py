from limner.router.account import Account


def test_an_account_is_full_when_it_has_as_many_orders_as_it_takes():
    bounds = ((None, 99), (2, 1), (2, 2), (2, 3))
    standing = [Account("easel", "easel", cap=cap, load=load) for cap, load in bounds]
    assert [one.full for one in standing] == [False, False, True, True]
