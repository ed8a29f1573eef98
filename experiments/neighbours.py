"""Training images that are nearest to validation images: figure 4, right, of the paper.

    python -m experiments.neighbours --weights runs/x/best.keras

The claim (section 6.1): images whose activations in the last hidden layer lie at a small Euclidean distance are alike,
although they are often far apart in pixels. Measured as the share of the six nearest that have the query's class, and
as mean average precision, in activations and in pixels of the crops made smaller (--pixel-size).

The activations are computed once and kept in --activations, 16 kB an image of the real network.

Time: 45 seconds for CIFAR-10 and a small network, on two cores beside another training.
Figures: not run yet.
"""

from pathlib import Path

from experiments.trained import add_data_options, claim_workdir, load_trained, open_dataset, parser, run, say, store

SPACES = ("activations", "pixels")


def neighbours(options, command=None):
    """Finds the neighbours of validation images and draws some; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np
    from tqdm import tqdm

    from alexnet_keras.plots import in_words, plot_neighbours, save_figure
    from alexnet_keras.retrieval import nearest
    from experiments.comparison import paired_difference
    from experiments.predictions import images_at

    model, dataset, write = prepare(options)
    settings = {"neighbours": options.neighbours, "depth": options.depth, "queries": options.queries}
    workdir = claim_workdir(options, "neighbours", {**settings, **data_settings(model, dataset, options)})
    activations = write()
    queries, labels, relevance = choose_queries(activations, options)
    depth = min(options.depth, activations.count("train"))
    measured, precisions, found = {}, {}, {}
    for space in SPACES:
        vectors = activations.rows("validation", queries, space)
        chunks = tqdm(activations.chunks("train", space), f"Searching in {space}", unit="file")
        _, found[space] = nearest(vectors, chunks, max(depth, options.neighbours))
        measured[space], precisions[space] = relevance(found[space])
    difference = paired_difference(100 * precisions["activations"], 100 * precisions["pixels"])

    random = np.random.default_rng(options.seed)
    shown = np.sort(random.permutation(len(queries))[: options.count])
    numbers = {space: found[space][shown, : options.neighbours] for space in SPACES}
    train_labels, names = activations.labels("train"), in_words(dataset.info.class_names)
    wanted = np.unique(np.concatenate([numbers[space].ravel() for space in SPACES]))
    pictures = images_at(dataset, wanted.tolist(), "train")
    groups = {
        space: (pictures[np.searchsorted(wanted, numbers[space])], train_labels[numbers[space]] == labels[shown, None])
        for space in SPACES
    }
    figure = plot_neighbours(
        images_at(dataset, queries[shown].tolist()),
        groups,
        [names[label] for label in labels[shown]],
        f"{dataset.info.name}: validation images and the training images nearest to them (crossed out: other class)",
    )
    save_figure(figure, workdir / "neighbours.png")
    results = store(
        workdir,
        command,
        {
            "settings": settings,
            "about": activations.about,
            "weights": options.weights,
            "seed": options.seed,
            "queries": len(queries),
            "chance": chance(train_labels, labels),
            "spaces": measured,
            "activations_less_pixels": difference,
            "shown": [
                {"query": int(queries[row]), **{space: numbers[space][i].tolist() for space in SPACES}}
                for i, row in enumerate(shown)
            ],
        },
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
    """The options of `prepare` and `choose_queries`."""
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


def prepare(options):
    """Opens the model and its data, and checks what can be checked before any work.

    Returns:
        `(model, dataset, write)`; `write` computes the activations that are not there yet.
    """
    from alexnet_keras.retrieval import write_activations
    from alexnet_keras.retrieval.activations import check_activations
    from alexnet_keras.retrieval.index import check_count

    for name in ("queries", "depth", "neighbours"):
        if getattr(options, name) < 1:
            raise ValueError(f"`{name}` must be positive. Received: {name}={getattr(options, name)}")
    model = load_trained(options.weights)
    dataset = open_dataset(model, options)
    check_count(options.neighbours, dataset.info.train_count)
    folder = options.activations or Path(options.weights).parent / "activations"
    arguments = (model, dataset, folder, options.layer, options.pixel_size, options.batch_size)
    check_activations(*arguments)

    def write():
        say(model, options, dataset)
        print(f"Activations of {options.layer}: {folder}", flush=True)
        return write_activations(*arguments)

    return model, dataset, write


def data_settings(model, dataset, options):
    """What tells apart the results of different models and images."""
    from alexnet_keras.models import fingerprint

    info = dataset.info
    return {
        **{"model": fingerprint(model), "layer": options.layer, "pixel_size": options.pixel_size},
        **{"dataset": info.name, "images": info.fingerprint, "image_size": info.image_size},
    }


def choose_queries(activations, options):
    """Validation images at equal distances, and how to measure what is found for them.

    Returns:
        `(numbers, labels, relevance)`; `relevance` takes the neighbours' numbers `(queries, neighbours)`, and returns
        the means and the precision of each query.
    """
    import numpy as np

    from alexnet_keras.retrieval import average_precision, precision_at

    count = activations.count("validation")
    queries = np.unique(np.linspace(0, count - 1, min(options.queries, count)).round().astype(int))
    labels, train = activations.labels("validation")[queries], activations.labels("train")
    totals = np.bincount(train, minlength=labels.max() + 1)[labels]

    def relevance(found):
        relevant = train[found] == labels[:, None]
        precision = precision_at(relevant, options.neighbours)
        average = average_precision(relevant[:, : options.depth], totals)
        return {"precision": float(precision.mean()), "map": float(average.mean())}, precision

    return queries, labels, relevance


def chance(train_labels, query_labels):
    """The precision of random neighbours."""
    import numpy as np

    counts = np.bincount(train_labels, minlength=query_labels.max() + 1)
    return float(counts[query_labels].mean() / len(train_labels))


def main(arguments=None):
    made = parser("neighbours", __doc__)
    add_search_options(made)
    made.add_argument("--count", type=int, default=5, help="validation images that are shown (default: 5)")
    made.add_argument("--seed", type=int, default=0, help="fixes which ones (default: 0)")
    return run(made, neighbours, arguments)


if __name__ == "__main__":
    main()
