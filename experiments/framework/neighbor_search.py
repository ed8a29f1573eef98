"""Search for the training images nearest to validation images, in activations and in pixels."""

import argparse
from typing import TYPE_CHECKING

from alexnet_keras.cli.trained_network import (
    add_data_options,
    check_positive,
    check_results_folder,
    claim_workdir,
    folder_of,
    open_dataset,
    print_summary,
    store_results,
)

if TYPE_CHECKING:
    import numpy as np

SPACES = ("activations", "pixels")


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `NeighborSearch`."""
    add_data_options(parser)
    parser.add_argument(
        "--layer", default="fc7", help="hidden layer whose activations are compared (default: fc7)"
    )
    parser.add_argument(
        "--activations",
        metavar="FOLDER",
        help="folder that keeps the activations (default: activations, in the network's folder)",
    )
    parser.add_argument(
        "--pixel-size",
        type=int,
        help="side of the crops for the comparison in pixels (default: 32, or the crop's)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=128,
        help="images in a batch, a divisor of 4096 (default: 128)",
    )
    parser.add_argument(
        "--neighbors", type=int, default=6, help="neighbors of each query (default: 6)"
    )
    parser.add_argument(
        "--depth",
        type=int,
        default=1000,
        help="neighbors that count for the mean average precision (default: 1000)",
    )
    parser.add_argument(
        "--queries", type=int, default=1000, help="validation images to search for (default: 1000)"
    )


class NeighborSearch:
    """Searches all training images for the nearest ones to some validation images.

    It checks all options first. Then it claims the folder of the results, and computes the missing
    activations.

    Args:
        options: parsed command line with the options of `add_search_options`.
        name: name of the experiment.
        more_settings: names of further options that the results depend on.

    Attributes:
        dataset: the data set.
        workdir: folder of the results.
        activations: activations and pixels of all images.
        queries: numbers of the validation images that are searched for.
        labels: classes of the queries.
        train_labels: classes of all training images.
        count: number of neighbors that `exact` finds.
        chance: precision of random neighbors.
    """

    def __init__(self, options, name, more_settings=()):
        from alexnet_keras.models import fingerprint, load_model
        from alexnet_keras.models.inspection import layer_of
        from alexnet_keras.retrieval import write_activations
        from alexnet_keras.retrieval.activations import check_activations
        from alexnet_keras.retrieval.index import check_count

        check_positive(options, "queries", "depth", "neighbors")
        model = load_model(options.weights)
        self.options = options
        self.name = name
        layer_of(model, options.layer)
        names = ("neighbors", "depth", "queries", *more_settings)
        self.settings = {option: getattr(options, option) for option in names}
        known = {
            **self.settings,
            "model": fingerprint(model),
            "layer": options.layer,
            "pixel_size": options.pixel_size,
        }
        check_results_folder(options, name, known)
        self.dataset = open_dataset(model, options)
        info = self.dataset.info
        check_count(options.neighbors, info.train_count, "neighbors")
        folder = options.activations or folder_of(options.weights, "activations") / "activations"
        arguments = (
            model,
            self.dataset,
            folder,
            options.layer,
            options.pixel_size,
            options.batch_size,
        )
        check_activations(*arguments, argument="activations")
        data = {
            "dataset": info.name,
            "images": info.fingerprint,
            "image_size": info.image_size,
        }
        self.workdir = claim_workdir(options, name, known | data)
        print_summary([model], options, self.dataset)
        print(f"Activations of {options.layer}: {folder}", flush=True)
        self.activations = write_activations(*arguments, argument="activations")
        self._choose_queries()

    def _choose_queries(self):
        """Spreads the queries evenly over the validation images."""
        import numpy as np

        count = self.activations.count("validation")
        numbers = np.linspace(0, count - 1, min(self.options.queries, count))
        self.queries = np.unique(numbers.round().astype(int))
        self.labels = self.activations.labels("validation")[self.queries]
        self.train_labels = self.activations.labels("train")
        self.count = max(min(self.options.depth, len(self.train_labels)), self.options.neighbors)
        # The number of training images of each query's class.
        self._same_class = np.bincount(self.train_labels, minlength=self.labels.max() + 1)[
            self.labels
        ]
        self.chance = float(self._same_class.mean() / len(self.train_labels))

    def exact(self, space: str) -> tuple["np.ndarray", "np.ndarray"]:
        """Searches by Euclidean distance.

        Args:
            space: `"activations"` or `"pixels"`.

        Returns:
            The vectors of the queries, and the numbers of the `count` nearest images of each.
        """
        from tqdm import tqdm

        from alexnet_keras.retrieval import nearest

        vectors = self.activations.rows("validation", self.queries, space)
        chunks = tqdm(
            self.activations.chunks("train", space), f"Exact search in {space}", unit="file"
        )
        return vectors, nearest(vectors, chunks, self.count)[1]

    def relevance(self, neighbors: "np.ndarray") -> tuple[dict, "np.ndarray"]:
        """Measures how many neighbors have the query's class.

        Args:
            neighbors: numbers of training images, `(queries, count)`.

        Returns:
            A dict of the mean `precision` and `map`, and the precision of each query.
        """
        from alexnet_keras.retrieval import average_precision, precision_at

        relevant = self.train_labels[neighbors] == self.labels[:, None]
        precision = precision_at(relevant, self.options.neighbors)
        average = average_precision(relevant[:, : self.options.depth], self._same_class)
        return {"precision": float(precision.mean()), "map": float(average.mean())}, precision

    def store(
        self, command: str | None, spaces: dict, precisions: dict, claim: str, **more_results
    ) -> dict:
        """Writes `results.json`, and returns its content.

        Args:
            command: command line.
            spaces: results in activations and in pixels.
            precisions: precision of each query in both, which the comparison is about.
            claim: claim of the paper.
            **more_results: further results.
        """
        results = {
            "experiment": self.name,
            "section": "section 6.1",
            "target": None,
            "settings": {"metric": f"precision at {self.options.neighbors}", **self.settings},
            "about": self.activations.about,
            "models": [{"weights": self.options.weights, "data": {"name": self.dataset.info.name}}],
            "queries": len(self.queries),
            "chance": self.chance,
            "spaces": spaces,
            "variants": {},
            "comparisons": [self._comparison(precisions, claim)],
        }
        return store_results(self.workdir, command, {**results, **more_results})

    def _comparison(self, precisions, claim):
        from alexnet_keras.evaluation.statistics import paired_difference

        return {
            "variant": "activations",
            "baseline": "pixels",
            "paper": None,
            "side": 1,
            "claim": claim,
            **paired_difference(*(100 * precisions[space] for space in SPACES)),
            "of": "queries of one network",
            "unit": f"percentage points of precision at {self.options.neighbors}",
            "no_effect": 0.0,
        }
