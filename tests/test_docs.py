"""The documentation: its commands and imports, and the site that `make docs` has built."""

import ast
import contextlib
import functools
import http.server
import importlib
import io
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import types
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import alexnet_command
import alexnet_keras

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
TEXTS += sorted((ROOT / "docs").rglob("*.md"))
BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
WIDTHS = (1280, 400)  # pixels: a desk and a telephone

# Shows each page at each width in a frame, measures it there, and sends the report to the server.
_MEASURE = """<!doctype html><body><script>
async function measure(page, width) {
  const frame = document.createElement("iframe");
  frame.style = `border: 0; width: ${width}px; height: 2000px`;
  frame.src = page;
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await loaded;
  const shown = frame.contentDocument;
  await Promise.all([...shown.images].map(image => image.decode().catch(() => {})));
  const result = {
    page, width,
    overflow: shown.documentElement.scrollWidth - width,
    pictures: [...shown.querySelectorAll("article img")].filter(image => image.naturalWidth).length,
    missing: [...shown.images].filter(image => !image.naturalWidth).map(image => image.src),
    headings: [...shown.querySelectorAll("article :is(h1, h2, h3)")].map(
      heading => heading.textContent.replace("\\u00b6", "").trim()),
  };
  frame.remove();
  return result;
}
(async () => {
  const report = [];
  for (const page of PAGES) for (const width of WIDTHS) report.push(await measure(page, width));
  await fetch("/report", {method: "POST", body: JSON.stringify(report)});
})();
</script>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, the page that measures its pages, and takes its report."""

    def do_GET(self):
        if self.path != "/measure":
            super().do_GET()
            return
        text = _MEASURE.replace("PAGES", json.dumps(self.server.pages)).replace(
            "WIDTHS", json.dumps(WIDTHS)
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.reported.set()

    def log_message(self, *_):
        pass


def measure(pages, folder, seconds=600):
    """Opens pages of the site in a browser; returns a dict for each page and width."""
    server = site_server(_Handler)
    server.pages = pages
    return report_of_browser(server, "measure", folder, seconds)


def site_server(handler):
    """Returns a server of the site, with a handler that takes the report of a page."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=SITE)
    )
    server.reported = threading.Event()
    return server


def report_of_browser(server, page, profile, seconds, options=()):
    """Opens a page of the server in a browser, and returns the report that the page sends."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options]
    address = f"http://127.0.0.1:{server.server_port}/{page}"
    browser = subprocess.Popen(
        [BROWSER, *options, f"--user-data-dir={profile}", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.reported.wait(seconds), f"the browser has not reported within {seconds} s"
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()
    return server.report


class _Links(HTMLParser):
    """Collects what a page links to, and what it loads."""

    def __init__(self):
        super().__init__()
        self.linked = []
        self.loaded = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "a" and attributes.get("href"):
            self.linked.append(attributes["href"])
        elif tag in ("img", "script") and "src" in attributes:
            self.loaded.append(attributes["src"] or "")
        elif tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(attributes["href"])


def pages():
    return [path for path in sorted(SITE.rglob("*.html")) if path.name != "404.html"]


def code_blocks(path, language):
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    """The options of each command that a page names, by the words that start it."""
    found = {}
    start = re.compile(
        r"(python -m (?:experiments|benchmarks|alexnet_keras)\.\w+|alexnet [a-z]+)\b(.*)"
    )
    for path in TEXTS:
        lines = "".join(code_blocks(path, "sh")).replace("\\\n", " ").splitlines()
        lines += re.findall(r"`((?:python -m|alexnet) [^`\n]*)`", path.read_text())
        for line in lines:
            match = start.search(line)
            if match and "NAME" not in match[1]:
                words = shlex.split(match[2], comments=True)
                options = {word for word in words if word.startswith("--")}
                found.setdefault(match[1], set()).update(options)
    return found


needs_site = pytest.mark.skipif(not SITE.is_dir(), reason="`make docs` has not built the site")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.mark.parametrize(("command", "options"), sorted(commands().items()))
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_commands_have_the_options_that_the_pages_name(command, options, monkeypatch):
    *_, module = command.split()
    arguments = [module, "--help"]
    if command.startswith("alexnet "):
        arguments.insert(0, "alexnet")
        module = "alexnet_command"
    monkeypatch.setattr(sys, "argv", arguments)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit) as end:
        if module == "alexnet_command":
            alexnet_command.main()
        else:
            runpy.run_module(module, run_name="__main__")
    assert end.value.code == 0
    known = set(re.findall(r"--[a-z][a-z0-9-]*", text.getvalue()))
    assert options <= known


@functools.cache
def described():
    """The functions and classes on the pages of the API."""
    found = []
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            module = importlib.import_module(name)
            names = getattr(module, "__all__", None) or [
                name
                for name, value in vars(module).items()
                if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
            ]
            found += [getattr(module, name) for name in names]
    return found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_of_the_pages_imports_what_the_api_describes(path):
    for block in code_blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("alexnet_keras"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    value = getattr(module, alias.name)
                    assert isinstance(value, types.ModuleType) or value in described(), alias.name


def test_what_the_package_exports_is_described():
    names = (name for name in alexnet_keras.__all__ if name not in ("__version__", "explain"))
    missing = [name for name in names if getattr(alexnet_keras, name) not in described()]
    assert not missing


def test_names_in_docstrings_exist():
    names = set()
    for path in (ROOT / "alexnet_keras").rglob("*.py"):
        names |= set(re.findall(r"`(alexnet_keras(?:\.\w+)+)", path.read_text()))
    assert "alexnet_keras.analysis.Snapshot" in names
    for name in sorted(names):
        parts = name.split(".")
        value = alexnet_keras
        for end, part in enumerate(parts[1:], 2):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(".".join(parts[:end]))
            assert hasattr(value, part), name
            value = getattr(value, part)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_that_the_pages_name_exist(path):
    for name, link in re.findall(r"`(test_\w+)` in \[\w+\.py\]\(([^)]+)\)", path.read_text()):
        assert f"def {name}(" in (path.parent / link).read_text()


@needs_site
def test_links_lead_to_files_of_the_site_and_nothing_is_loaded_from_other_hosts():
    wrong = []
    for page in pages():
        links = _Links()
        links.feed(page.read_text())
        wrong += [
            f"{page.name} loads {url[:60]}"
            for url in links.loaded
            if not url or urlsplit(url).netloc
        ]
        for url in (*links.linked, *links.loaded):
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            if not (page.parent / unquote(parts.path)).exists():
                wrong.append(f"{page.relative_to(SITE)}: {url}")
    assert not wrong


@needs_site
@needs_browser
def test_a_browser_shows_headings_and_pictures_within_the_screen(tmp_path):
    expected = {  # a heading of each page, and how many pictures it has at least
        "index.html": ("alexnet_keras", 2),
        "notebooks/01_train.html": ("Training AlexNet", 3),
        "api/layers.html": ("LocalResponseNormalization", 0),
    }
    report = measure(list(expected), tmp_path)
    assert len(report) == len(expected) * len(WIDTHS)
    for shown in report:
        heading, pictures = expected[shown["page"]]
        assert any(heading in text for text in shown["headings"]), shown
        assert shown["pictures"] >= pictures, shown
        assert not shown["missing"], shown
        assert shown["overflow"] <= 0, shown


def test_readme_stays_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
