"""`limner chat`; the window itself is tested in tests/chat/test_chainlit.py."""

import pytest

from limner.cli import chat
from limner.core.errors import SetupError


def test_without_chainlit_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(chat, "find_spec", lambda _name: None)
    with pytest.raises(
        SetupError, match=r"^the chat window needs Chainlit: pip install 'limner\[chainlit\]'$"
    ):
        chat.chat(port=0, headless=True, debug=False)
