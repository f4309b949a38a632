"""What is released: the page on PyPI, the sdist, the workflows, and what a report is asked for."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agentstream._extras import DISTRIBUTION
from agentstream._info import info_lines

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCE = PROJECT["urls"]["Source"]
RAW = SOURCE.replace("https://github.com/", "https://raw.githubusercontent.com/")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, as a release builds it."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the distribution, is missing")
    pytest.importorskip("hatch_fancy_pypi_readme", reason="what makes PyPI's README is missing")
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.tar.gz")
    return made


@pytest.mark.slow
def test_the_sdist_has_the_sources_and_no_films(sdist: Path) -> None:
    with tarfile.open(sdist) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert sdist.name.startswith(DISTRIBUTION.replace("-", "_"))
    kept = {"README.md", "LICENSE", "agentstream/py.typed", "tests/test_release.py"}
    assert kept <= names
    assert [name for name in names if name.endswith(".gif") or name.startswith(".")] == [
        ".gitignore"
    ]
    assert sdist.stat().st_size < 6_000_000


def pypi_readme(sdist: Path) -> str:
    with tarfile.open(sdist) as files:
        (name,) = [name for name in files.getnames() if re.fullmatch(r"[^/]+/PKG-INFO", name)]
        member = files.extractfile(name)
        assert member is not None
        return member.read().decode().partition("\n\n")[2]


def test_links_and_pictures_of_the_readme_work_on_pypi(sdist: Path) -> None:
    markdown = pytest.importorskip("readme_renderer.markdown", reason="readme-renderer is missing")
    text = pypi_readme(sdist)
    shown = markdown.render(text)
    assert shown is not None
    pointers = re.findall(r'(?:src|srcset|href)="([^"]+)"', shown)
    assert [one for one in pointers if not one.startswith(("https://", "#"))] == []
    ours = [one for one in pointers if one.startswith((SOURCE, RAW))]
    assert len(ours) > 20
    missing = []
    for one in ours:
        path = re.sub(rf"^({SOURCE}/blob|{RAW})/main/|#.*", "", one)
        if not (ROOT / path).exists():
            missing.append(one)
    assert missing == []
    pictures = re.findall(r'<img[^>]+src="([^"]+)"', shown)
    assert len(pictures) == 3
    assert all(one.startswith(f"{RAW}/main/docs/img/") for one in pictures)


def test_the_repository_is_at_one_address() -> None:
    owner = re.escape(SOURCE.removeprefix("https://github.com/").partition("/")[0])
    files = [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.yml"), *ROOT.glob("docs/*.md")]
    files += [ROOT / "mkdocs.yml", ROOT / "CITATION.cff"]
    for path in files:
        for found in re.findall(r"github\.com/([\w-]+)/agentstream", path.read_text("utf-8")):
            assert re.fullmatch(owner, found), path
    assert f"repo_url: {SOURCE}" in (ROOT / "mkdocs.yml").read_text("utf-8")
    assert f"repository-code: {SOURCE}" in (ROOT / "CITATION.cff").read_text("utf-8")


@pytest.mark.parametrize("name", ["README.md", "docs/install.md", "docs/try-online.md"])
def test_a_page_that_needs_the_public_repository_says_that_there_is_none_yet(name: str) -> None:
    # To be turned round with the first release: then these pages no longer say so.
    assert "not public" in (ROOT / name).read_text("utf-8")


def test_every_notebook_opens_on_binder_and_on_colab() -> None:
    page = (ROOT / "docs/try-online.md").read_text("utf-8")
    repository = SOURCE.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/notebooks/"
    names = sorted(path.name for path in ROOT.glob("notebooks/*.ipynb"))
    for start in (colab, binder):
        assert re.findall(rf"\({re.escape(start)}([^)]+)\)", page) == names


def workflows() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    return {
        path.stem: yaml.safe_load(path.read_text("utf-8"))
        for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
    }


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflows_run_every_declared_python_on_three_systems() -> None:
    matrix = workflows()["test"]["jobs"]["systems"]["strategy"]["matrix"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert matrix["python"] == declared
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_what_the_workflows_name_is_there() -> None:
    for name, workflow in workflows().items():
        text = "\n".join(step.get("run", "") for step in steps(workflow))
        for extras in re.findall(r"\.\[([\w,]+)\]", text):
            assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"]), name
        for path in re.findall(r"(?:python|bash|--ignore=)\s?([\w./]+/[\w./]+)", text):
            assert (ROOT / path).exists() or path.startswith("try/"), (name, path)


def test_only_the_release_may_write_and_it_needs_no_token() -> None:
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {"contents": "read"}, name
        assert "secrets." not in (ROOT / f".github/workflows/{name}.yml").read_text("utf-8")
    publish = workflows()["release"]["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"


def test_the_other_configuration_files_are_well_formed_and_agree() -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"]
    for template in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(template.read_text("utf-8"))
    bug = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8")
    assert "python -m agentstream info" in bug
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).is_file()
    needed = re.findall(r"\.\[([\w,]+)\]", (ROOT / "Dockerfile").read_text("utf-8"))
    needed += re.findall(r"\.\[([\w,]+)\]", (ROOT / ".binder/requirements.txt").read_text("utf-8"))
    assert {one for extras in needed for one in extras.split(",")} <= set(
        PROJECT["optional-dependencies"]
    )


def test_every_page_and_notebook_is_in_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    names = [path.relative_to(ROOT).as_posix() for path in pages]
    assert [name for name in names if f"- {name}\n" not in nav and f": {name}\n" not in nav] == []


def test_the_site_builds_and_every_link_in_it_leads_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the docs extra is not installed")
    pytest.importorskip("mkdocs_jupyter", reason="the docs extra is not installed")
    done = subprocess.run(
        [sys.executable, "docs/site.py"], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr


# -- python -m agentstream info --


@pytest.mark.slow
def test_info_tells_versions_extras_and_the_front_end_and_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "sk-only-for-this-test-0123456789"
    environment = os.environ | {
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": "http://me:secret@127.0.0.1/v1",
        "COLAB_RELEASE_TAG": "release-colab",
    }
    done = subprocess.run(
        [sys.executable, "-m", "agentstream", "info"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{DISTRIBUTION} {PROJECT['version']}")
    assert lines[1].startswith(f"Python {sys.version.split()[0]}")
    assert "Colab" in lines[2]
    assert f"openai {importlib.metadata.version('openai')}" in lines[3]
    assert lines[-1].endswith("OPENAI_API_KEY, OPENAI_BASE_URL") or "OPENAI_API_KEY" in lines[-1]
    for private in (key, "secret", "127.0.0.1", str(Path.home())):
        assert private not in done.stdout


def test_info_says_what_an_extra_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else real(name)
    )
    lines = info_lines()
    assert "  trace lacks pyarrow" in lines
    assert not any(line.startswith("extras:") and "trace" in line for line in lines)
