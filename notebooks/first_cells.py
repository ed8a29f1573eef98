"""Command that writes the cell about installation and the badge for Colab into all notebooks.

    python -m notebooks.first_cells

Run it after a change of `REPOSITORY`. Without an address, notebooks have no badge, and Colab
installs a wheel that is uploaded to it.
"""

import json
import re
from pathlib import Path

# Address of the repository on GitHub, such as "https://github.com/OWNER/alexnet_keras".
REPOSITORY = ""

_GITHUB = "https://github.com/"
_COLAB = "https://colab.research.google.com"
_BADGE = re.compile(r"^\[!\[Open in Colab\].*\n\n", re.MULTILINE)
_INSTALL = """\
# In the repository: pip install -e ".[notebooks]"
# Elsewhere: pip install "{elsewhere}"
import sys

if "google.colab" in sys.modules:
    {colab}"""


def with_first_cells(text: str, name: str, repository: str = REPOSITORY) -> str:
    """Returns the text of a notebook with its first cell and its badge.

    Args:
        text: text of the notebook.
        name: name of its file.
        repository: address of the repository on GitHub; `""` if there is none.

    Raises:
        ValueError: for an address of another host, as Colab opens notebooks of GitHub.
    """
    if repository and not repository.startswith(_GITHUB):
        raise ValueError(
            f"`repository` must be '' or begin with {_GITHUB}. Received: repository={repository!r}"
        )
    content = json.loads(text)
    cells = content["cells"]
    if cells[0]["id"] != "install":
        cells.insert(0, {"cell_type": "code", "execution_count": None, "id": "install"})
        cells[0].update(metadata={}, outputs=[])
    cells[0]["source"] = _install(repository).splitlines(keepends=True)
    title = next(cell for cell in cells if cell["cell_type"] == "markdown")
    heading, _, rest = _BADGE.sub("", "".join(title["source"])).partition("\n\n")
    title["source"] = f"{heading}\n\n{_badge(name, repository)}{rest}".splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _install(repository):
    if not repository:
        return _INSTALL.format(
            elsewhere="alexnet_keras-VERSION-py3-none-any.whl[notebooks]",
            colab='!pip install --quiet "$(ls alexnet_keras-*.whl)[experiments]"  # upload it',
        )
    address = f"git+{repository}"
    return _INSTALL.format(
        elsewhere=f"alexnet_keras[notebooks] @ {address}",
        colab=f'%pip install --quiet "alexnet_keras[experiments] @ {address}"',
    )


def _badge(name, repository):
    if not repository:
        return ""
    path = repository.removeprefix(_GITHUB).rstrip("/")
    address = f"{_COLAB}/github/{path}/blob/main/notebooks/{name}"
    return f"[![Open in Colab]({_COLAB}/assets/colab-badge.svg)]({address})\n\n"


def main():
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        text = with_first_cells(path.read_text(encoding="utf-8"), path.name)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"Written: {path}")


if __name__ == "__main__":
    main()
