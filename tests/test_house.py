"""What the project promises outside its code: set-up, documentation, package."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import limner
from limner.config import Settings
from tools import check_house, coverage_gate

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WHEEL_BYTES = 20 * 1000 * 1000


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_in_both_places():
    assert tomllib.loads(text("pyproject.toml"))["project"]["version"] == limner.__version__


def test_the_changelog_has_this_version():
    assert f"## [{limner.__version__}] - " in text("CHANGELOG.md")


def test_every_setting_is_documented():
    page = text("docs/settings.md")
    assert [name for name in Settings.model_fields if f"| `{name}` |" not in page] == []


def test_the_readme_sets_up_with_exactly_two_commands():
    start = text("README.md").partition("## Start")[2].partition("\n## ")[0]
    blocks = re.findall(r"```[a-z]*\n(.*?)```", start, re.DOTALL)
    assert [line for block in blocks for line in block.splitlines()] == [
        'make picture PROMPT="a lighthouse by the sea at dusk, watercolor"',
        "make test",
    ]


def test_the_goals_the_documents_name_exist():
    goals = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z]+)\b", pages, re.MULTILINE))
    assert named - goals == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not re.match(r"[a-z]+:", link) and not leads(page, link)] == []


def leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in headings(target))


def headings(page: Path) -> set[str]:
    """The anchors of a page as hosts of Markdown make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_decision_is_listed():
    listed = text("docs/adr/index.md")
    assert [page.name for page in (ROOT / "docs/adr").glob("0*.md") if f"]({page.name})" not in listed] == []


@pytest.mark.parametrize("name", [".ci/run", "tools/setup.sh"])
def test_what_is_run_by_name_may_be_run(name: str):
    assert os.access(ROOT / name, os.X_OK)


def test_a_prompt_reaches_limner_as_it_was_typed(tmp_path: Path):
    prompt = 'it\'s "red" $(touch made) `touch made` $HOME ${X} $(shell touch made) naïve 夕暮れ # \\ ; end'
    clone = copy_of_makefile(tmp_path)
    said = subprocess.run(
        ["make", "picture", f"PROMPT={prompt}", "OUT=a b/$x.png"],
        cwd=clone,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        check=True,
    )
    assert said.stdout.decode().split("\0") == ["generate", "--out", "a b/$x.png", "--", prompt, ""]
    assert not (clone / "made").exists()


def copy_of_makefile(tmp_path: Path) -> Path:
    """A folder with our Makefile, set-up that does nothing, and a limner that says what it was given."""
    for name, script in {
        "tools/setup.sh": "#!/bin/sh\n",
        ".venv/bin/limner": "#!/bin/sh\nprintf '%s\\0' \"$@\"\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(script)
        path.chmod(0o755)
    (tmp_path / "Makefile").write_text(text("Makefile"))
    return tmp_path


def setup(tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """tools/setup.sh in a clone of its own, where only `environ` says what Python there is."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/setup.sh").write_text(text("tools/setup.sh"))
    (tmp_path / "pyproject.toml").write_text(text("pyproject.toml"))
    return subprocess.run(
        ["sh", "tools/setup.sh", "run"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def tools_without_python(folder: Path, **scripts: str) -> str:
    """A PATH with what setup.sh needs of a system, and these scripts; returns it."""
    folder.mkdir()
    for name in ("sh", "cksum", "cat", "dirname", "mkdir", "rm", "id"):
        found = next(Path(place) / name for place in ("/usr/bin", "/bin") if (Path(place) / name).exists())
        (folder / name).symlink_to(found)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_without_python_the_set_up_says_what_to_install(tmp_path: Path):
    (tmp_path / "clone").mkdir()
    done = setup(tmp_path / "clone", PATH=tools_without_python(tmp_path / "bin"))
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[0] == "limner: Limner needs Python 3.11 or newer; there is none on the PATH."
    )


def test_an_old_python_is_named_by_its_version(tmp_path: Path):
    (tmp_path / "clone").mkdir()
    old = 'case "$2" in *join*) echo 3.10.1 ;; *) exit 1 ;; esac'
    done = setup(tmp_path / "clone", PATH=tools_without_python(tmp_path / "bin", python3=old))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "limner: Limner needs Python 3.11 or newer; python3 here is 3.10.1."


def test_a_python_that_was_named_and_is_none_is_refused(tmp_path: Path):
    (tmp_path / "clone").mkdir()
    done = setup(tmp_path / "clone", PATH=tools_without_python(tmp_path / "bin"), PYTHON="/nowhere/python3")
    assert (done.returncode, done.stderr) == (
        1,
        "limner: PYTHON=/nowhere/python3 is no Python 3.11 or newer\n",
    )


def test_nothing_is_installed_twice(tmp_path: Path):
    clone = tmp_path / "clone"
    binaries = clone / ".venv/bin"
    binaries.mkdir(parents=True)
    for name in ("limner", "python"):
        (binaries / name).write_text("#!/bin/sh\nexit 1\n")
        (binaries / name).chmod(0o755)
    sums = subprocess.run(
        ["cksum"], input=(ROOT / "pyproject.toml").read_bytes(), capture_output=True, check=True
    )
    (clone / ".venv/.limner-dev").write_text(f"{sums.stdout.decode().strip()} {clone}")
    done = setup(clone, PATH=tools_without_python(tmp_path / "bin"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Limner as pip would build it, without pip's look for the builder on the network."""
    folder = tmp_path_factory.mktemp("wheel")
    builder = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*builder, "--directory", str(folder)], cwd=ROOT, check=True)
    return next(folder.glob("limner-*.whl"))


def test_the_wheel_holds_every_file_of_the_package(wheel: Path):
    package = ROOT / "src/limner"
    files = {str(path.relative_to(package.parent)) for path in package.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    assert wanted >= {
        "limner/py.typed",
        "limner/catalog/local.toml",
        "limner/engine/starter/unet.onnx",
        "limner/engine/starter/tokenizer.json",
        "limner/store/migrations/env.py",
    }
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_wheel_carries_the_licence_and_nothing_of_the_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"limner", f"limner-{limner.__version__}.dist-info"}


def test_the_wheel_is_small_enough_to_be_installed_in_a_moment(wheel: Path):
    assert wheel.stat().st_size < WHEEL_BYTES


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("open('/" + "work/x')", "a path of one machine"),
        ("open('/" + "home/anna/x')", "a path of one machine"),
        ("# TO" + "DO later", "unfinished work; do it, or say what is missing in the documentation"),
        ("x  # no" + "qa: S101", "noqa needs its codes and a reason: X123 - why"),
        ("x  # no" + "qa", "noqa needs its codes and a reason: X123 - why"),
        ("x  # type: " + "ignore[misc]", "type: ignore needs its code and a reason: [code]  # why"),
    ],
)
def test_the_house_check_finds(line: str, fault: str):
    assert list(check_house.faults("a.py", f"fine\n{line}\n".encode())) == [f"a.py:2: {fault}"]


@pytest.mark.parametrize(
    "line",
    [
        "x  # noqa: S101, E501 - because",
        "x  # type: ignore[misc]  # because",
        "https://example.org/work/x and ../home/anna and docs/root/",
        "-v limner:/home/user/data",
    ],
)
def test_the_house_check_passes(line: str):
    assert list(check_house.faults("a.py", line.encode())) == []


def test_a_large_file_needs_a_reason():
    large = bytes(check_house.LARGEST + 1)
    assert list(check_house.faults("a.bin", large)) == [
        "a.bin:1: 1,048,577 bytes; at most 1,048,576, or a line in tools/check_house.py that says why"
    ]
    assert list(check_house.faults("src/limner/engine/starter/unet.onnx", large)) == []


def test_coverage_is_counted_for_each_package_by_itself():
    def file(covered: int, of: int) -> coverage_gate.File:
        summary: coverage_gate.Summary = {
            "covered_lines": covered,
            "num_statements": of,
            "covered_branches": covered,
            "num_branches": of,
        }
        return {"summary": summary}

    report: coverage_gate.Report = {
        "files": {
            "src/limner/core/a.py": file(90, 100),
            "src/limner/core/b.py": file(100, 100),
            "src/limner/catalog/a.py": file(100, 100),
            "src/limner/router/a.py": file(100, 100),
            "src/limner/jobs/a.py": file(94, 100),
            "src/limner/api/core/a.py": file(0, 100),
        }
    }
    found = coverage_gate.percents(report)
    assert found == {"core": 95.0, "catalog": 100.0, "router": 100.0, "jobs": 94.0, "store": 0.0}
    assert coverage_gate.shortfalls(found) == [
        "limner.jobs is covered to 94.0 %; it needs 95 %",
        "limner.store is covered to 0.0 %; it needs 95 %",
    ]
