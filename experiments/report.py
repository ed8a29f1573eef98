"""Writes REPRODUCTION.md and the tables in README and docs, and draws their pictures.

    python -m experiments.report

All are from the stored results. It trains nothing; `python -m experiments.NAME` does.
"""

import argparse
import importlib.util
from pathlib import Path

from alexnet_keras.cli.command import run_command


def pages(root):
    """Returns dict from the paths of all generated and partly generated pages to their texts.

    Args:
        root: folder with `results`, README.md and `docs`.
    """
    from experiments.reporting.blocks import fill_blocks
    from experiments.reporting.reproduction import reproduction

    root = Path(root)
    results = root / "results"
    written = {root / "REPRODUCTION.md": reproduction(results)}
    for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        if path.exists():
            written[path] = fill_blocks(path.read_text(), results)
    return written


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", default=".", help="folder with results, README.md and docs (default: this one)"
    )
    return run_command(parser, _write, arguments, resumes=False)


def _write(options, command):
    from alexnet_keras.files import write_text

    if importlib.util.find_spec("benchmarks") is None:
        raise ValueError(
            "`report` must run in the root of a checkout, as the wheel has no `benchmarks`. "
            f"Received: the folder {str(Path.cwd())!r}"
        )
    root = Path(options.root)
    results = root / "results"
    if not results.is_dir():
        raise ValueError(
            f"`root` must be a folder that has a folder `results`. Received: root={options.root!r}"
        )
    paths = sorted(results.rglob("results.json"))
    print(f"Stored results to read in {results}: {len(paths)}. Nothing is trained.", flush=True)
    written = pages(root)
    _draw(paths, results)
    for path, text in written.items():
        write_text(path, text)
        print(f"Written: {path}")


def _draw(paths, results):
    from alexnet_keras.files import read_json
    from alexnet_keras.plots import save_figure
    from experiments.framework.figures import draw
    from experiments.reporting.speed import speed_figure

    for path in paths:
        content = read_json(path)
        if "comparisons" in content:
            draw(content, path.parent)
            print(f"Pictures of {content['experiment']}: {path.parent}")
    if (results / "benchmarks" / "training.json").exists():
        save_figure(speed_figure(results), results / "benchmarks" / "speed.png")
        print(f"Picture of the benchmarks: {results / 'benchmarks' / 'speed.png'}")


if __name__ == "__main__":
    main()
