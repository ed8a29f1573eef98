"""Puts files from outside `docs` into the site: README, REPRODUCTION, notebooks, pictures, sources.

All links are relative to the file that they stand in, so that they also work in the repository.
Here they are changed into links inside the site.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
_PAGES = {
    "README.md": "index.md",
    "REPRODUCTION.md": "reproduction.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_SAME_PATH = {".gif", ".ipynb", ".json", ".md", ".png"}  # the others are shown as source code
_LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml"}
_FENCED = re.compile(r"^( *)(`{3,}).*?^\1\2", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'(\]\(|<img [^>]*?src=")([^)\s"#]+)')
_LOADS_OTHER_HOSTS = re.compile(
    r"<script[^>]*>(?:(?!</script>).)*(?:mathjax|mermaid)(?:(?!</script>).)*</script>", re.S
)
_BADGE = re.compile(r'<img [^>]*src="https?:[^"]*/colab-badge.svg"[^>]*>')
_EMPTY_SCRIPT = re.compile(r'<script src="">\s*</script>')

_repository_paths = {}  # path in the site -> path in the repository


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files, config):
    """Adds the pages and all files that they link to."""
    _repository_paths.clear()
    for file in list(files.documentation_pages()):
        _repository_paths[file.src_uri] = f"docs/{file.src_uri}"
    waiting = [*_PAGES, *_repository_paths.values()]
    waiting += [
        path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("notebooks/*.ipynb"))
    ]
    while waiting:
        path = waiting.pop()
        uri = _site_path(path)
        if not path.startswith("docs/") and files.get_file_from_path(uri) is None:
            _repository_paths[uri] = path
            files.append(_file(path, uri, config))
        if path.endswith(".md"):
            linked = _linked_paths(path)
            waiting += [
                other for other in linked if files.get_file_from_path(_site_path(other)) is None
            ]
    return files


def on_page_markdown(markdown, page, **_):
    """Changes links relative to the repository into links inside the site."""
    path = _repository_paths.get(page.file.src_uri)
    if path is None or not path.endswith(".md"):
        return markdown

    def replace(match):
        target = _repository_path(match[2], path)
        if target is None:
            return match[0]
        return match[1] + posixpath.relpath(
            _site_path(target), posixpath.dirname(page.file.src_uri) or "."
        )

    return _outside_code(markdown, lambda text: _LINK.sub(replace, text))


def on_page_content(html, page, **_):
    """Removes the scripts that notebooks would load from other hosts, and the badge's picture."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    html = _BADGE.sub("Open in Colab", html)
    return _EMPTY_SCRIPT.sub("", _LOADS_OTHER_HOSTS.sub("", html))


def _site_path(path):
    """The path in the site of a file of the repository."""
    if path in _PAGES:
        return _PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if Path(path).suffix in _SAME_PATH else f"source/{path.lstrip('.')}.md"


def _file(path, uri, config):
    if uri.endswith(".ipynb"):
        return File(uri, str(ROOT), config.site_dir, config.use_directory_urls)
    if not uri.startswith("source/"):
        return File.generated(config, uri, abs_src_path=str(ROOT / path))
    language = _LANGUAGES.get(Path(path).suffix, "text")
    code = (ROOT / path).read_text()
    content = f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n`````{language}\n{code}\n`````\n"
    return File.generated(config, uri, content=content)


def _linked_paths(path):
    """The files of the repository that a page links to."""
    found = []
    _outside_code(
        (ROOT / path).read_text(),
        lambda text: found.extend(match[2] for match in _LINK.finditer(text)),
    )
    return [target for link in found if (target := _repository_path(link, path))]


def _repository_path(link, path):
    """The path in the repository of a link's target; `None` for a link to another host."""
    if re.match(r"[a-z]+:", link):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if not (ROOT / target).is_file():
        raise PluginError(f"{path} links to {link}, which is not a file of the repository")
    return target


def _outside_code(markdown, change):
    """Markdown with the text between its fenced code blocks changed by a function."""
    parts = []
    end = 0
    for block in _FENCED.finditer(markdown):
        parts += [change(markdown[end : block.start()]), block[0]]
        end = block.end()
    parts.append(change(markdown[end:]))
    return "".join(part for part in parts if part is not None)
