import pytest

from limner.guard.scope import Scope


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), True),
        (Scope(user="ann"), True),
        (Scope(user="bob"), False),
        (Scope(project="zoo"), True),
        (Scope(user="ann", project="zoo", account="easel"), True),
        (Scope(user="ann", project="farm"), False),
        (Scope(account="mural"), False),
    ],
)
def test_all_that_is_set_must_agree(scope, covered):
    assert scope.covers("ann", "zoo", "easel") is covered


def test_a_scope_says_whom_it_is_about():
    assert [str(Scope()), str(Scope("ann", "zoo", "easel")), str(Scope(project="zoo"))] == [
        "everybody",
        "user ann, project zoo, account easel",
        "project zoo",
    ]
