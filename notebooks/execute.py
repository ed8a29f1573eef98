"""Command that executes a notebook and keeps it with its outputs.

    python -m notebooks.execute notebooks/01_train.ipynb runs/shapes

The output of the cells is printed while they run. Afterwards the folder holds the notebook with its
outputs, with progress bars in their last state.
"""

import argparse
import base64
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

_LARGE = 100_000  # characters
_COLORS_OF_LINES = 4096  # at most; the edges of lines and letters have mixed colors


class _Client(NotebookClient):
    """A client that prints the output of the cells while they run."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", flush=True)
        return super().process_message(msg, cell, cell_index)


def execute(notebook: str | Path, folder: str | Path, parameters: dict | None = None) -> Path:
    """Executes a notebook in the current folder.

    Args:
        notebook: path of the notebook.
        folder: folder for the notebook with its outputs, and its parameter `workdir`.
        parameters: dict of values that replace the values in the cell tagged `parameters`.

    Returns:
        Path of the executed notebook.

    Raises:
        ValueError: for a parameter that the notebook does not have.
        CellExecutionError: if a cell fails; the notebook is kept with the outputs so far.
    """
    content = nbformat.read(notebook, as_version=4)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tags = [cell.metadata.get("tags", ()) for cell in content.cells]
    index = next(number for number, names in enumerate(tags) if "parameters" in names)
    own = re.findall(r"^(\w+) =", content.cells[index].source, re.MULTILINE)
    if not set(parameters or {}) <= set(own):
        raise ValueError(
            f"`parameters` must be out of {', '.join(own)}. Received: parameters={parameters}"
        )
    parameters = {"workdir": str(folder), **(parameters or {})}
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    content.cells.insert(index + 1, nbformat.v4.new_code_cell(source))
    target = folder / Path(notebook).name
    try:
        _Client(
            content,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": str(Path.cwd())}},
        ).execute()
    finally:
        del content.cells[index + 1]
        for cell in content.cells:
            if cell.cell_type == "code":
                cell.outputs = _tidied(cell.outputs)
        nbformat.write(content, target)
    return target


def _tidied(outputs):
    """Outputs of a cell with its printed text in one piece, without stderr (logs and progress)."""
    printed = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    others = [_smaller(o) for o in outputs if o.output_type != "stream"]
    if not printed.strip():
        return others
    return [nbformat.v4.new_output("stream", name="stdout", text=_settled(printed)), *others]


def _smaller(output):
    """An output whose picture takes less space, if it is large: fewer colors, or a JPEG.

    Lines and areas need few colors. Photographs would lose theirs.
    """
    picture = output.get("data", {}).get("image/png", "")
    if len(picture) <= _LARGE:
        return output
    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        colors = image.convert("RGB")
    kind = "image/png" if colors.getcolors(_COLORS_OF_LINES) else "image/jpeg"
    if kind == "image/png":
        colors.quantize(256).save(file, "PNG", optimize=True)
    else:
        colors.save(file, "JPEG", quality=88, subsampling=0, optimize=True)
    smaller = base64.b64encode(file.getvalue()).decode()
    if len(smaller) < len(picture):
        del output["data"]["image/png"]
        output["data"][kind] = smaller
    return output


def _settled(text):
    """Text as a terminal finally shows it, with only the last state of a progress bar."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(line.replace("\b", "") for line in lines)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m notebooks.execute", description=__doc__.splitlines()[0]
    )
    parser.add_argument("notebook", help="path of the notebook")
    parser.add_argument(
        "folder", help="folder for the notebook with its outputs, and for its results"
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    start = time.perf_counter()
    try:
        target = execute(options.notebook, options.folder)
    except CellExecutionError as error:
        sys.exit(f"{options.notebook} failed:\n{error}")
    print(
        f"\nThe notebook with its outputs: {target} ({(time.perf_counter() - start) / 60:.1f} min)"
    )
    print(f"Pictures and results: {options.folder}")


if __name__ == "__main__":
    main()
