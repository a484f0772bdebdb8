from tools import chat_env


def test_an_environment_that_is_not_whole_is_not_used(tmp_path):
    home = chat_env.home(tmp_path)
    assert home.parent == tmp_path
    assert chat_env.commands(tmp_path) is None
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "chainlit").touch()
    assert chat_env.commands(tmp_path) is None
    (home / ".whole").touch()
    assert chat_env.commands(tmp_path) == home / "bin"


def test_a_python_that_chainlit_does_not_know_has_none(tmp_path):
    chat_env.home(tmp_path).mkdir()
    (chat_env.home(tmp_path) / ".whole").touch()
    assert chat_env.commands(tmp_path) is None


def test_a_whole_environment_is_left_as_it_is_and_older_ones_go(tmp_path):
    home = chat_env.home(tmp_path)
    for folder in (home, tmp_path / "older"):
        folder.mkdir()
    (home / ".whole").touch()
    assert chat_env.main(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", home.name]
