"""What README and docs tell people to do works: commands run in a small form, snippets too, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import compose

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
SMALL = ("days=14", "warm_up_days=7", "start_date=2024-09-24", "scale=0.2")
"""A fortnight around the day on which the block of home-care hours begins."""
COUNTS = ("replications", "budget", "most", "points", "days")
"""Settings whose numbers are made small."""
SIMULATE = ("run", "compare", "sweep", "select", "trace")
SCENARIO_FILE = "scenarios/scenario/more_reablement.yaml"

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def lines(page: Path, language: str) -> Iterator[str]:
    for block in blocks(page, language):
        yield from (line for line in block.splitlines() if line.strip())


def small(line: str) -> list[str]:
    """The words of a `flowsim` command after its name, made small where it simulates."""
    words = shlex.split(line, comments=True)[1:]
    if words[0] not in SIMULATE:
        return words
    if any(word.startswith("spell=") for word in words):  # one person of one run, who is in no other
        return words
    words = [word for word in words if word.partition("=")[0] not in COUNTS]
    given = {word.partition("=")[0] for word in words}
    if "census" in given:  # it has no warm-up, and its people are those of the whole place
        return [*words, "days=14", "replications=2", "jobs=1"]
    words += [word for word in SMALL if word.partition("=")[0] not in given]
    if words[0] == "trace":
        return words
    if words[0] == "select" or "precision" in given:
        return [*words, "most=4", "jobs=1"]
    points = ["points=4"] if "design" in given else []  # a design keeps enough points to be one
    return [*words, *points, f"replications={1 if words[0] == 'sweep' else 2}", "jobs=1"]


TOLD = (README, ROOT / "docs" / "evidence.md")
COMMANDS = [line for page in TOLD for line in lines(page, "bash") if line.startswith("flowsim ")]
SETUPS = [line for language in ("bash", "powershell") for line in lines(README, language) if "-m venv" in line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader works, who has written the README's own scenario and nothing else."""
    (text,) = (block for block in blocks(README, "yaml") if block.startswith("title: Twenty more"))
    path = tmp_path / SCENARIO_FILE
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def makes(line: str) -> str:
    """What a command leaves that others may use by name: its folder or file, or a new place; "" if nothing."""
    words = shlex.split(line, comments=True)
    if words[1:3] == ["new", "place"]:
        return words[3]
    return next((word.removeprefix("out=") for word in words if word.startswith("out=")), "")


def needed_by(line: str) -> list[str]:
    """The commands that stand before this one and make what it uses."""
    used = {word.rpartition("=")[2] for word in shlex.split(line, comments=True)} - {makes(line)}
    return [one for one in COMMANDS[: COMMANDS.index(line)] if makes(one) in used]


def test_the_readme_names_the_file_of_its_scenario() -> None:
    assert SCENARIO_FILE in README.read_text(encoding="utf-8")


def test_two_commands_for_each_shell_that_say_the_same() -> None:
    bash, powershell = SETUPS[:2], SETUPS[2:]
    assert len(bash) == len(powershell) == 2
    for here, there in zip(bash, powershell, strict=True):
        plain = there.replace(".venv\\Scripts\\", ".venv/bin/").replace("; ", " && ").replace("py -m", "python3 -m")
        assert plain == here
    assert bash[0].endswith(".venv/bin/flowsim compare")
    assert bash[1].endswith(".venv/bin/python -m pytest")


def test_what_the_two_commands_install_is_there() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"\[(\w+)\]", " ".join(SETUPS)):
        assert extra in declared["optional-dependencies"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in pinned.splitlines() if line and not line.startswith("#")}
    assert all(
        re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line) for line in pinned.splitlines() if not line.startswith("#")
    )
    for needed in (*declared["dependencies"], *declared["optional-dependencies"]["test"]):
        assert re.split(r"[<>=]", needed)[0].lower() in names


@pytest.mark.usefixtures("folder")
def test_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(small("flowsim compare")) == 0
    *_, last = capsys.readouterr().out.strip().splitlines()
    out = Path(last.removeprefix("Results: "))
    told = README.read_text(encoding="utf-8")
    in_folder = re.findall(r"`([\w./]+)`", "".join(re.findall(r"^\| `.*? \|", told, re.M)))
    assert len(in_folder) == 9
    for name in in_folder:
        assert (out / name).exists(), name
    for picture in re.findall(r"docs/images/(\S+?\.png)", told):
        assert (out / "charts" / picture).exists()


def test_commands_that_build_on_others_are_seen() -> None:
    needed = {line.split()[1]: [one.split()[1:3] for one in needed_by(line)] for line in COMMANDS if needed_by(line)}
    assert needed["results"] == [["compare", "'scenarios=[baseline,seven_day_working]'"]]
    assert needed["run"] == [["new", "place"]]
    assert sum(map(len, map(needed_by, COMMANDS))) == 4


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", [line for line in COMMANDS if "spell=" not in line])  # that one is below
def test_a_command_of_the_readme(line: str) -> None:
    for one in needed_by(line):
        assert cli.main(small(one)) == 0
    assert cli.main(small(line)) == 0


def test_the_person_of_the_readme_shows_something(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in COMMANDS if "spell=" in line)
    assert cli.main(small(line)) == 0
    assert "The same in both" not in capsys.readouterr().out


@pytest.mark.parametrize("snippet", blocks(README, "python"))
def test_a_snippet_of_the_readme(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(scenarios: list[str], replications: int) -> flowsim.Comparison:
        return plain(scenarios, 1, overrides=SMALL, jobs=1, progress=False)

    plain = flowsim.compare
    monkeypatch.setattr("flowsim.api.compare", quick)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    assert (tmp_path / "differences.png").exists()


# -- declarations ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenarios folder that holds what `flowsim new place my_county` writes."""
    made = tmp_path_factory.mktemp("county")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert cli.main(["new", "place", "my_county"]) == 0
    return made / "scenarios"


def checked(folder: Path, text: str, *overrides: str) -> None:
    path = folder / "scenario" / "example.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    composed = compose(*overrides, "scenario=example", scenarios_dir=folder)
    assert composed.read().scenario.changes
    assert not composed.evidence().empty


@pytest.mark.parametrize("example", blocks(ROOT / "docs" / "architecture.md", "yaml"))
def test_an_example_of_a_mechanism_can_be_laid_over_the_template(example: str, template: Path) -> None:
    indented = "".join(f"  {line}\n" for line in example.splitlines())
    checked(template, f"title: An example\nplace:\n{indented}", "place=my_county")


@pytest.mark.parametrize("example", blocks(ROOT / "CONTRIBUTING.md", "yaml"))
def test_the_scenario_of_contributing(example: str, tmp_path: Path) -> None:
    checked(tmp_path, example.replace("NAME", "example"))


# -- links -------------------------------------------------------------------------------------------------------------


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            yield page, target


@pytest.mark.parametrize(("page", "target"), list(links()), ids=str)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    file, _, heading = target.partition("#")
    found = page if not file else (page.parent / file)
    assert found.exists()
    if heading:
        headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.M)
        assert heading in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_what_contributing_says_to_run_is_there() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:flowsim|tests|scenarios|docs|\.ci)/[\w./]+)`", told):
        assert (ROOT / path).exists() or "NAME" in path, path


@pytest.mark.long
def test_the_first_screen_is_the_one_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default comparison, at its full size, in a terminal of 80 columns."""
    (shown,) = re.findall(r"^```text\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["compare", "charts=false"]) == 0
    printed = re.sub(r"outputs/[\d-]+-compare", "outputs/DATE-compare", capsys.readouterr().out)
    assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines()
    assert len(shown.splitlines()) <= 40
