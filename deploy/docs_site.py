"""A hook of mkdocs: pages of the checkout that lie outside docs/, and every file that a page links to.

Links stay as they are on a forge; here they lead to copies, so that a dead one fails the strict build.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md"} | {
    name: name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
}
"""Pages at the top of the checkout, and where they are on the site."""
SOURCES = "sources"
_LINK = re.compile(r"(?P<open>\]\()(?P<target>[^)\s#:]+)(?P<rest>(#[^)\s]*)?\))")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".toml": "toml"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the top, and a page for every other file that is linked to."""
    docs = {
        file.src_uri: (ROOT / "docs" / file.src_uri).read_text() for file in files.documentation_pages()
    }
    for source, page in PAGES.items():
        text = _for_site((ROOT / source).read_text(), source, page)
        files.append(File.generated(config, page, content=text))
    texts = {f"docs/{uri}": text for uri, text in docs.items()}
    texts |= {name: (ROOT / name).read_text() for name in PAGES}
    for path in sorted({p for source, text in texts.items() for p in _outside(text, source)}):
        files.append(File.generated(config, _page_of(path), content=_shown(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the copies."""
    uri = page.file.src_uri
    if uri in PAGES.values() or uri.startswith(SOURCES):
        return markdown
    return _for_site(markdown, f"docs/{uri}", uri)


def _outside(text: str, source: str) -> set[str]:
    """Paths of the checkout, linked to by a page, that are no page of the site by themselves."""
    prose = _FENCE.sub("", text)
    paths = {_path(found["target"], source) for found in _LINK.finditer(prose)}
    return {p for p in paths if p not in PAGES and not _is_of_docs(p) and (ROOT / p).exists()}


def _path(target: str, source: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _is_of_docs(path: str) -> bool:
    kept = (".md", ".png", ".svg", ".yaml", ".html")
    return path.startswith("docs/") and path.endswith(kept)


def _page_of(path: str) -> str:
    return f"{SOURCES}/{path.removeprefix('.')}.md"


def _for_site(text: str, source: str, page: str) -> str:
    """The text of ``source`` with its links as they must be from ``page``."""

    def moved(found: re.Match[str]) -> str:
        path = _path(found["target"], source)
        if path in PAGES:
            target = PAGES[path]
        elif _is_of_docs(path):
            target = path.removeprefix("docs/")
        elif (ROOT / path).exists():
            target = _page_of(path)
        else:
            return found[0]
        relative = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"{found['open']}{relative}{found['rest']}"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in parts)


def _shown(path: str) -> str:
    """A file as it is, or all files of a folder one after another."""
    place = ROOT / path
    found = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.is_file())
    parts = [f"# {path}\n"]
    for file in found:
        name = file.relative_to(ROOT)
        heading = f"## {name}\n\n" if place.is_dir() else ""
        language = _LANGUAGES.get(file.suffix, "text")
        parts.append(f"{heading}````{language}\n{file.read_text(errors='replace').rstrip()}\n````\n")
    return "\n".join(parts)
