"""Nearest training images of validation images: figure 4, right, of the paper.

    python -m experiments.neighbors --weights runs/x/best.keras

Claim (section 6.1): images with a small Euclidean distance in the last hidden layer are alike,
although they are often far apart in pixels. The command measures the share of the six nearest
images that have the query's class, and the mean average precision. It compares activations with the
pixels of reduced crops (--pixel-size).

The activations are computed once and kept in the folder --activations.
"""

import argparse

from alexnet_keras.cli.command import run_command
from alexnet_keras.cli.trained_network import (
    check_positive,
    check_seed,
    images_at,
    network_parser,
)
from experiments.framework.neighbor_search import SPACES, NeighborSearch, add_search_options


def neighbors(options: argparse.Namespace, command: str | None = None) -> dict:
    """Finds the neighbors of validation images, and draws some of them.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    check_positive(options, "count")
    check_seed(options)
    search = NeighborSearch(options, "neighbors", more_settings=("count", "seed"))
    spaces = {}
    precisions = {}
    neighbors = {}
    for space in SPACES:
        _, neighbors[space] = search.exact(space)
        spaces[space], precisions[space] = search.relevance(neighbors[space])
    results = search.store(
        command,
        spaces,
        precisions,
        "Nearer in the last hidden layer is more alike than in pixels",
        shown=_draw(search, neighbors, options),
    )
    print(table(results))
    return results


def _draw(search, neighbors, options):
    """Draws random queries with their neighbors; returns the numbers of the images."""
    import numpy as np

    from alexnet_keras.plots import in_words, plot_neighbors, save_figure

    random = np.random.default_rng(options.seed)
    rows = np.sort(random.permutation(len(search.queries))[: options.count])
    queries = search.queries[rows]
    labels = search.labels[rows]
    shown = {space: neighbors[space][rows, : options.neighbors] for space in SPACES}
    numbers = np.unique(np.concatenate([shown[space].ravel() for space in SPACES]))
    pictures = images_at(search.dataset, numbers.tolist(), "train")
    groups = {}
    for space in SPACES:
        has_same_class = search.train_labels[shown[space]] == labels[:, None]
        groups[space] = (pictures[np.searchsorted(numbers, shown[space])], has_same_class)
    names = in_words(search.dataset.info.class_names)
    title = (
        f"{search.dataset.info.name}: validation images and their nearest training images "
        "(crossed out: other class)"
    )
    query_pictures = images_at(search.dataset, queries.tolist())
    figure = plot_neighbors(query_pictures, groups, [names[label] for label in labels], title)
    save_figure(figure, search.workdir / "neighbors.png")
    return [
        {"query": int(query), **{space: shown[space][i].tolist() for space in SPACES}}
        for i, query in enumerate(queries)
    ]


def table(results: dict) -> str:
    """Returns the precisions as Markdown."""
    count = results["settings"]["neighbors"]
    depth = results["settings"]["depth"]
    lines = [f"| nearest in | precision at {count} | mAP at {depth} |", "|---|---|---|"]
    for space, measured in results["spaces"].items():
        lines.append(
            f"| {space} | {100 * measured['precision']:.1f}% | {100 * measured['map']:.1f}% |"
        )
    lines.append(f"| chance | {100 * results['chance']:.1f}% | |")
    return "\n".join(lines)


def main(arguments=None):
    parser = network_parser("neighbors", __doc__)
    add_search_options(parser)
    parser.add_argument(
        "--count", type=int, default=5, help="number of queries to draw (default: 5)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the choice of these queries (default: 0)"
    )
    return run_command(parser, neighbors, arguments)


if __name__ == "__main__":
    main()
