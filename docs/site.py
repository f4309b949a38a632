"""Builds the documentation as a site, strictly: a link or an anchor that leads nowhere is an error.

    pip install -e '.[docs]' && python docs/site.py

The pages are those of the repository in its own folders, so that their links are the same on GitHub
and here. Links to what is no page (a folder, a module) go to the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "site-pages"
SITE = ROOT / "build" / "site"
SCRIPT = re.compile(r"<(script|pre|code)\b.*?</\1>", re.DOTALL)
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
SHOWN = {".md", ".ipynb", ".png", ".gif", ".svg"}


def repository() -> str:
    """Address of the files in the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['urls']['Source']}/blob/main"


def lay_out() -> None:
    """Copy the pages, and have their links to other files lead to the repository."""
    shutil.rmtree(PAGES, ignore_errors=True)
    patterns = ("*.md", "bench/README.md", "docs/*.md", "docs/img/*", "notebooks/*.ipynb")
    for path in [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]:
        target = PAGES / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".md", ".ipynb"):
            text = path.read_text(encoding="utf-8")
            text = LINK.sub(partial(led, path), text)
            target.write_text(text, encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(path, target)


def led(page: Path, found: re.Match[str]) -> str:
    """A link of a page, as it leads to what is in the site, or else into the repository."""
    target = (page.parent / found[2]).resolve()
    link = found[2]
    if target.exists() and target.is_relative_to(ROOT):
        if target.suffix not in SHOWN:
            link = f"{repository()}/{target.relative_to(ROOT).as_posix()}"
        elif page.suffix == ".ipynb":  # its links are left as they are: they lead from its address
            link = os.path.relpath(ROOT / address(target), ROOT / address(page))
            link += "/" * (target.suffix in (".md", ".ipynb"))
    return f"{found[1]}{link}{found[3]}"


def address(page: Path) -> str:
    """Where a page is in the site; a README is its folder's."""
    path = page.relative_to(ROOT)
    if path.suffix not in (".md", ".ipynb"):
        return path.as_posix()
    return (path.parent if path.stem == "README" else path.with_suffix("")).as_posix()


def broken_links() -> list[str]:
    """Links of the built pages and notebooks that lead to no file of the site."""
    broken = []
    for page in sorted(SITE.rglob("*.html")):
        text = SCRIPT.sub("", page.read_text(encoding="utf-8"))
        for link in sorted(set(re.findall(r'\s(?:href|src)="([^"]*)"', text))):
            parts = urlsplit(unescape(link))
            if parts.scheme or parts.netloc or not parts.path or page.name == "404.html":
                continue
            target = page.parent / unquote(parts.path)
            if not (target / "index.html").is_file() and not target.is_file():
                broken.append(f"{page.relative_to(SITE)}: {link}")
    return broken


def main() -> int:
    """Lay out the pages, build the site, and follow its links."""
    lay_out()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, check=False).returncode
    broken = broken_links()
    sys.stderr.writelines(f"{one}\n" for one in broken)
    return done or bool(broken)


if __name__ == "__main__":
    sys.exit(main())
