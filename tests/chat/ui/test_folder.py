"""What Chainlit reads at its start."""

import json
import tomllib
from xml.etree import ElementTree

from limner.chat.ui.folder import furnish


def test_the_folder_says_what_chainlit_may_do(tmp_path):
    furnish(tmp_path)
    config = tomllib.loads((tmp_path / ".chainlit" / "config.toml").read_text())
    assert config["project"]["allow_origins"] == []
    assert config["features"]["unsafe_allow_html"] is False
    assert config["features"]["spontaneous_file_upload"] == {"enabled": False}
    assert config["UI"]["name"] == "Limner"


def test_no_font_is_fetched_from_elsewhere_and_every_mark_can_be_drawn(tmp_path):
    furnish(tmp_path)
    assert json.loads((tmp_path / "public" / "theme.json").read_text())["custom_fonts"] == []
    marks = sorted((tmp_path / "public").glob("*.svg"))
    assert [path.name for path in marks] == ["favicon.svg", "logo_dark.svg", "logo_light.svg"]
    for path in marks:
        assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
