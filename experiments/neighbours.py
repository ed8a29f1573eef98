"""Training images that are nearest to validation images: figure 4, right, of the paper.

    python -m experiments.neighbours --weights runs/x/best.keras

The claim (section 6.1): images whose activations in the last hidden layer lie at a small Euclidean distance are alike,
although they are often far apart in pixels. Measured as the share of the six nearest that have the query's class, and
as mean average precision, in activations and in pixels of the crops made smaller (--pixel-size).

The activations are computed once and kept in --activations, 16 kB an image of the real network.

Time: 45 seconds for CIFAR-10 and a small network, on two cores beside another training.
Figures, of the real network on Imagenette (34.9% top-1 error, 1,000 queries): 55.8% of the six nearest in activations
have the query's class, of those in pixels 25.7%; 30.1 points more [27.8, 32.3].
"""

from pathlib import Path

from experiments.framework.cli import run
from experiments.framework.trained_network import add_data_options, claim_workdir, open_dataset, parser, say, store

SPACES = ("activations", "pixels")


def neighbours(options, command=None):
    """Finds the neighbours of validation images and draws some; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np

    from alexnet_keras.plots import in_words, plot_neighbours, save_figure
    from experiments.predictions import images_at

    search = Search(options, "neighbours")
    dataset, queries, labels = search.dataset, search.queries, search.labels
    measured, precisions, found = {}, {}, {}
    for space in SPACES:
        _, found[space] = search.exact(space)
        measured[space], precisions[space] = search.relevance(found[space])

    random = np.random.default_rng(options.seed)
    shown = np.sort(random.permutation(len(queries))[: options.count])
    numbers = {space: found[space][shown, : options.neighbours] for space in SPACES}
    names = in_words(dataset.info.class_names)
    wanted = np.unique(np.concatenate([numbers[space].ravel() for space in SPACES]))
    pictures = images_at(dataset, wanted.tolist(), "train")
    groups = {
        space: (
            pictures[np.searchsorted(wanted, numbers[space])],
            search.train_labels[numbers[space]] == labels[shown, None],
        )
        for space in SPACES
    }
    figure = plot_neighbours(
        images_at(dataset, queries[shown].tolist()),
        groups,
        [names[label] for label in labels[shown]],
        f"{dataset.info.name}: validation images and the training images nearest to them (crossed out: other class)",
    )
    save_figure(figure, search.workdir / "neighbours.png")
    results = search.store(
        command,
        measured,
        precisions,
        "Nearer in the last hidden layer is more alike than in pixels",
        seed=options.seed,
        shown=[
            {"query": int(queries[row]), **{space: numbers[space][i].tolist() for space in SPACES}}
            for i, row in enumerate(shown)
        ],
    )
    print(table(results))
    return results


def table(results):
    """The precisions as Markdown."""
    count, depth = results["settings"]["neighbours"], results["settings"]["depth"]
    lines = [f"| nearest in | precision at {count} | mAP at {depth} |", "|---|---|---|"]
    lines += [f"| {s} | {100 * m['precision']:.1f}% | {100 * m['map']:.1f}% |" for s, m in results["spaces"].items()]
    lines.append(f"| chance | {100 * results['chance']:.1f}% | |")
    return "\n".join(lines)


def add_search_options(made):
    """The options of `Search`."""
    add_data_options(made)
    made.add_argument("--layer", default="fc7", help="hidden layer whose activations are compared (default: fc7)")
    made.add_argument(
        "--activations", metavar="FOLDER", help="where they are kept (default: activations, in the network's folder)"
    )
    made.add_argument("--pixel-size", type=int, help="side of the crops as pixels are compared (default: 32 or less)")
    made.add_argument("--batch-size", type=int, default=128, help="images at a time, a divisor of 4096 (default: 128)")
    made.add_argument("--neighbours", type=int, default=6, help="neighbours of each image (default: 6)")
    made.add_argument("--depth", type=int, default=1000, help="neighbours that mAP is taken over (default: 1000)")
    made.add_argument(
        "--queries", type=int, default=1000, help="validation images that are searched for (default: 1000)"
    )


class Search:
    """The search of the training images that are nearest to validation images at equal distances.

    Checks what can be checked before any work; then claims the folder of the results, and computes the activations that
    are not there yet.

    Args:
        options: the command line, with what `add_search_options` gives it.
        name: name of the experiment.
        also: names of options besides `neighbours`, `depth` and `queries` that the results depend on.

    Attributes:
        dataset, workdir, activations: what was opened.
        queries, labels: numbers and classes of the validation images.
        train_labels: classes of all training images.
        count: neighbours that are looked for of each.
        chance: the precision of random neighbours.
    """

    def __init__(self, options, name, also=()):
        from alexnet_keras.models import fingerprint, load_model
        from alexnet_keras.retrieval import write_activations
        from alexnet_keras.retrieval.activations import check_activations
        from alexnet_keras.retrieval.index import check_count

        for option in ("queries", "depth", "neighbours"):
            if getattr(options, option) < 1:
                raise ValueError(f"`{option}` must be positive. Received: {option}={getattr(options, option)}")
        model = load_model(options.weights)
        self.dataset = open_dataset(model, options)
        info = self.dataset.info
        check_count(options.neighbours, info.train_count)
        folder = options.activations or Path(options.weights).parent / "activations"
        arguments = (model, self.dataset, folder, options.layer, options.pixel_size, options.batch_size)
        check_activations(*arguments)
        self.options, self.name = options, name
        self.settings = {option: getattr(options, option) for option in ("neighbours", "depth", "queries", *also)}
        what = {
            **{"model": fingerprint(model), "layer": options.layer, "pixel_size": options.pixel_size},
            **{"dataset": info.name, "images": info.fingerprint, "image_size": info.image_size},
        }
        self.workdir = claim_workdir(options, name, {**self.settings, **what})
        say([model], options, self.dataset)
        print(f"Activations of {options.layer}: {folder}", flush=True)
        self.activations = write_activations(*arguments)
        self._choose_queries()

    def _choose_queries(self):
        import numpy as np

        count = self.activations.count("validation")
        numbers = np.linspace(0, count - 1, min(self.options.queries, count))
        self.queries = np.unique(numbers.round().astype(int))
        self.labels, self.train_labels = (
            self.activations.labels("validation")[self.queries],
            self.activations.labels("train"),
        )
        self.count = max(min(self.options.depth, len(self.train_labels)), self.options.neighbours)
        self._totals = np.bincount(self.train_labels, minlength=self.labels.max() + 1)[self.labels]
        self.chance = float(self._totals.mean() / len(self.train_labels))

    def exact(self, space):
        """The search by Euclidean distance: the queries' vectors, and the numbers of their `count` neighbours."""
        from tqdm import tqdm

        from alexnet_keras.retrieval import nearest

        vectors = self.activations.rows("validation", self.queries, space)
        chunks = tqdm(self.activations.chunks("train", space), f"Exact search in {space}", unit="file")
        return vectors, nearest(vectors, chunks, self.count)[1]

    def relevance(self, found):
        """How good the neighbours with these numbers are: the means, and the precision of each query."""
        from alexnet_keras.retrieval import average_precision, precision_at

        relevant = self.train_labels[found] == self.labels[:, None]
        precision = precision_at(relevant, self.options.neighbours)
        average = average_precision(relevant[:, : self.options.depth], self._totals)
        return {"precision": float(precision.mean()), "map": float(average.mean())}, precision

    def store(self, command, spaces, precisions, claim, **others):
        """Writes `results.json`.

        Args:
            command: the command line.
            spaces: what was measured in activations and in pixels.
            precisions: the precision of each query in both, of which the paper's claim is a comparison.
            claim: that claim.
            **others: other results.
        """
        from experiments.framework.statistics import paired_difference

        comparison = {
            "variant": "activations",
            "baseline": "pixels",
            "paper": None,
            "side": 1,
            "claim": claim,
            **paired_difference(*(100 * precisions[space] for space in SPACES)),
            "of": "queries of one network",
            "unit": f"percentage points of precision at {self.options.neighbours}",
            "no_effect": 0.0,
        }
        results = {
            "experiment": self.name,
            "section": "section 6.1",
            "target": None,
            "settings": {"metric": f"precision at {self.options.neighbours}", **self.settings},
            "about": self.activations.about,
            "models": [{"weights": self.options.weights, "data": {"name": self.dataset.info.name}}],
            "queries": len(self.queries),
            "chance": self.chance,
            "spaces": spaces,
            "variants": {},
            "comparisons": [comparison],
        }
        return store(self.workdir, command, {**results, **others})


def main(arguments=None):
    made = parser("neighbours", __doc__)
    add_search_options(made)
    made.add_argument("--count", type=int, default=5, help="validation images that are shown (default: 5)")
    made.add_argument("--seed", type=int, default=0, help="fixes which ones (default: 0)")
    return run(made, neighbours, arguments)


if __name__ == "__main__":
    main()
