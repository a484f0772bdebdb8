import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools import sdks

SCRIPT = Path("a.py")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("# requires: openai==3.51.0", ("openai==3.51.0",)),
        ("# requires: huggingface_hub==2.4.0 Pillow==13.0.0", ("huggingface_hub==2.4.0", "Pillow==13.0.0")),
        (
            "# requires: a.b-c==1.0rc1, d[fast]==2!1.0+cpu ,e==3",
            ("a.b-c==1.0rc1", "d[fast]==2!1.0+cpu", "e==3"),
        ),
    ],
)
def test_the_first_line_names_the_packages(line: str, found: tuple[str, ...]):
    assert sdks.pins(SCRIPT, f"{line}\nimport openai\n") == found


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("import openai", "its first line must be like '# requires: openai==3.51.0', not 'import openai'"),
        ("# requires:", "every package needs its exact version, name==1.2.3: there is none"),
        (
            "# requires: a==1 openai>=3 -e. b==2.*",
            "every package needs its exact version, name==1.2.3: openai>=3 -e. b==2.*",
        ),
    ],
)
def test_a_first_line_that_leaves_a_choice_is_refused(line: str, fault: str):
    with pytest.raises(ValueError, match=f"^{re.escape(f'a.py: {fault}')}$"):
        sdks.pins(SCRIPT, line)


def test_the_same_packages_in_another_order_are_the_same_environment():
    assert sdks.home(SCRIPT, ["x==1", "y==2"], "3.11.7") == sdks.home(SCRIPT, ["y==2", "x==1"], "3.11.7")


def test_another_script_other_packages_and_another_python_are_other_environments():
    homes = {
        sdks.home(SCRIPT, ["x==1"], "3.11.7"),
        sdks.home(Path("b.py"), ["x==1"], "3.11.7"),
        sdks.home(SCRIPT, ["x==2"], "3.11.7"),
        sdks.home(SCRIPT, ["x==1"], "3.12.0"),
    }
    assert len(homes) == 4


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one script, and a package index that has easel 1.0 and nothing else."""
    with zipfile.ZipFile(tmp_path / "easel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("easel.py", "colour = 'teal'\n")
        wheel.writestr("easel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: easel\nVersion: 1.0\n")
        wheel.writestr("easel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("easel-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/one.py").write_text("# requires: easel==1.0\n")
    return tmp_path / "scripts"


def folders(below: Path) -> list[Path]:
    return sorted(path for path in below.iterdir() if path.is_dir())


def test_an_environment_is_made_once_and_those_that_nobody_needs_are_removed(scripts, tmp_path, capsys):
    below = tmp_path / "sdks"
    for old in ("one-0123456789ab", "one-0123456789ab.half"):
        (below / old).mkdir(parents=True)
    assert sdks.main(scripts, below) == 0
    [one] = sdks.find(scripts, below)
    assert folders(below) == [one.home]
    said = subprocess.check_output([one.python, "-c", "import easel; print(easel.colour)"], text=True)
    assert said == "teal\n"
    assert capsys.readouterr() == ("limner: one: installed easel==1.0\n", "")
    assert sdks.main(scripts, below) == 0
    assert capsys.readouterr() == ("", "")


def test_an_environment_whose_python_is_gone_is_made_anew(scripts, tmp_path):
    below = tmp_path / "sdks"
    [one] = sdks.find(scripts, below)
    one.python.parent.mkdir(parents=True)
    one.python.symlink_to(tmp_path / "gone")
    assert sdks.main(scripts, below) == 0
    assert subprocess.run([one.python, "-c", "import easel"], check=False).returncode == 0


def test_what_cannot_be_installed_is_told_and_keeps_the_others_from_nothing(scripts, tmp_path, capsys):
    (scripts / "a.py").write_text("# requires: easel==2.0\n")
    assert sdks.main(scripts, tmp_path / "sdks") == 1
    broken, one = sdks.find(scripts, tmp_path / "sdks")
    assert (broken.home.exists(), one.python.exists()) == (False, True)
    told = capsys.readouterr()
    assert told.out == "limner: one: installed easel==1.0\n"
    assert "No matching distribution found for easel==2.0\nlimner: a: not installed, see above\n" in told.err
