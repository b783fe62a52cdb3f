"""The shape of the tree: what lies at the top, what every folder says about itself, how long a file may be."""

import ast
import re
from pathlib import Path

import pytest

FOLDERS = ["adapters", "deploy", "engine", "projections", "schema", "tests"]
TOP = {*FOLDERS, "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"}
LONGEST = 400
REASON = re.compile(r"\bone file\b.*\bbecause\b", re.DOTALL | re.IGNORECASE)

# What belongs to one machine, one network or one registry.
FOREIGN = re.compile(
    r"(?<![\w.])/(?:work/|root/\.|home/(?!agent\b)\w+/|(?-i:Users)/)"
    r"|pythonhosted|pypi\.org|registry\.npmjs|npmjs\.(?:com|org)|crates\.io|proxy\.golang|repo1?\.maven"
    r"|(?:deb|security)\.debian\.org|archive\.ubuntu"
    r"|//[^/\s\"'<>`{]+:[^/\s\"'<>`{]+@(?!host)"
    r"|(?<!emit-)index-url\b|extra-index|trusted-host",
    re.IGNORECASE,
)
SECRETS = re.compile(
    r"sk-ant-[a-z]+\d\d-\w|-----BEGIN [A-Z ]*PRIVATE KEY|gh[pousr]_\w{30}|[MNO]\w{23,}\.[\w-]{6}\.[\w-]{27,}"
)
SIGNED = re.compile(r"co-authored-by|generated (?:by|with) (?:an? )?(?:ai\b|claude|chatgpt|copilot)", re.IGNORECASE)


def test_the_top_level_is_exactly_this(files: list[Path], root: Path) -> None:
    top = {path.relative_to(root).parts[0] for path in files}
    assert {name for name in top if not name.startswith(".")} == TOP


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_tells_what_belongs_in_it(folder: str, root: Path) -> None:
    assert "belongs" in (root / folder / "README.md").read_text().lower()


@pytest.mark.parametrize("pattern", [FOREIGN, SECRETS, SIGNED], ids=["foreign", "secret", "signed"])
def test_no_file_names_what_is_not_the_projects(pattern: re.Pattern[str], files: list[Path], root: Path) -> None:
    found: list[str] = []
    for path in files:
        if path == Path(__file__):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(root)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_the_patterns_find_what_they_are_for() -> None:
    for text in ("cd /work/main", "https://pypi.org/simple", "PIP_INDEX-URL", "http://me:pw@index/"):
        assert FOREIGN.search(text), text
    for text in ("docs/work/x", "https://code.claude.com", "--no-emit-index-url", "/home/agent/x"):
        assert not FOREIGN.search(text), text
    assert SECRETS.search("sk-ant-api03-x")
    assert SIGNED.search("Co-authored-by: x")


def test_a_long_file_says_why_it_is_one(files: list[Path], root: Path) -> None:
    """Files are short, unless the module's docstring says why it is one file ("… one file … because …")."""
    unexplained: list[str] = []
    for path in files:
        text = path.read_text() if path.suffix == ".py" else ""
        length = text.count("\n")
        if length > LONGEST and not REASON.search(ast.get_docstring(ast.parse(text)) or ""):
            unexplained.append(f"{path.relative_to(root)}: {length} lines")
    assert not unexplained


def test_whoever_suppresses_a_rule_says_which_and_why(files: list[Path], root: Path) -> None:
    suppression = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)(?P<rest>.*)")
    rule_and_reason = re.compile(r"(: [A-Z]+\d+(, ?[A-Z]+\d+)*|\[[\w, -]+\])\s+(- |# |— |\()?\S+")
    bare = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in files
        if path.suffix == ".py" and path != Path(__file__)
        for line in path.read_text().splitlines()
        for match in [suppression.search(line)]
        if match and not rule_and_reason.match(match["rest"])
    ]
    assert not bare
