"""Binary codes of activations, and the search by them.

    python -m experiments.codes --weights runs/x/best.keras

Proposal (section 6.1, last paragraph): the Euclidean distance between 4096 real numbers is slow. An
autoencoder can compress them to short binary codes. They should give far better retrieval than
codes of raw pixels.

The command trains autoencoders for codes of several lengths, of activations and of pixels. It
measures precision and mean average precision by Hamming distance, among all training images, and
compares them with the exact search. It also measures memory and queries per second.

The autoencoders are trained on the first --fit-images training images. Queries per second are
measured among these images and among random codes.
"""

import argparse
import statistics
import sys
import time

from alexnet_keras.cli.command import run_command
from alexnet_keras.cli.trained_network import check_positive, check_seed, network_parser
from experiments.framework.neighbor_search import SPACES, NeighborSearch, add_search_options

_SPEED_QUERIES = 100  # random codes that are searched for


def codes(options: argparse.Namespace, command: str | None = None) -> dict:
    """Trains the autoencoders and measures the search.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    _check(options)
    more_settings = ("bits", "hidden", "epochs", "fit_images", "random_codes", "seed")
    search = NeighborSearch(options, "codes", more_settings)
    spaces = {}
    precisions = {}
    for space in SPACES:
        spaces[space], precisions[space] = _measure_space(search, space, options)
    results = search.store(
        command,
        spaces,
        precisions,
        f"Codes of {max(options.bits)} bits of activations are better than codes of pixels",
        random_codes={"count": options.random_codes, "bits": _measure_random_codes(options)},
    )
    print(table(results))
    _draw(search, spaces, options)
    return results


def _check(options):
    """Raises a `ValueError` for options that can't be used."""
    check_positive(options, "hidden", "epochs")
    check_seed(options)
    least = max(2, options.neighbors)  # each search finds `neighbors` among them
    for name in ("fit_images", "random_codes"):
        if getattr(options, name) < least:
            raise ValueError(
                f"`{name}` must be {least} or more, as `neighbors` is {options.neighbors}. "
                f"Received: {name}={getattr(options, name)}"
            )
    are_bytes = all(bits >= 8 and bits % 8 == 0 for bits in options.bits)
    if not are_bytes or len(set(options.bits)) < len(options.bits):
        raise ValueError(
            f"`bits` must be different positive multiples of 8. Received: bits={options.bits}"
        )


def _measure_space(search, space, options):
    """Measures the exact search and all codes in a space.

    Returns:
        The results, and the precision of each query with the longest codes.
    """
    import numpy as np

    from alexnet_keras.retrieval import CodeIndex, encode

    queries, neighbors = search.exact(space)
    exact, _ = search.relevance(neighbors)
    vectors = _first_vectors(search.activations, space, options.fit_images)

    results = {
        "exact": {
            **exact,
            "bytes": 4 * vectors.shape[1],
            "queries_per_second": _queries_per_second(
                _exact_index(vectors).search, np.asarray(queries, "float32"), options.neighbors
            ),
            "images": len(vectors),
        },
        "codes": {},
    }
    precisions = {}
    for bits in options.bits:
        encoder, index = _train_codes(search, space, vectors, bits, options)
        query_codes = encode(encoder, [queries])
        measured, precisions[bits] = search.relevance(index.search(query_codes, search.count)[1])
        same_images = CodeIndex(index.codes[: len(vectors)], {})
        results["codes"][str(bits)] = {
            **measured,
            "bytes": bits // 8,
            "queries_per_second": _queries_per_second(
                same_images.search, query_codes, options.neighbors
            ),
            "images": len(vectors),
        }
    return results, precisions[max(options.bits)]


def _exact_index(vectors):
    """The index of the exact search, as `nearest` builds one in each call."""
    import faiss
    import numpy as np

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, "float32"))
    return index


def _train_codes(search, space, vectors, bits, options):
    """Trains an encoder, encodes all training images, and saves encoder and index."""
    from alexnet_keras.files import replacing
    from alexnet_keras.retrieval import CodeIndex, encode, train_encoder

    print(f"Autoencoder: {space} to {bits} bits, {len(vectors):,} images", flush=True)
    verbose = 1 if sys.stdout.isatty() else 2
    encoder = train_encoder(
        vectors,
        bits,
        hidden=options.hidden,
        epochs=options.epochs,
        seed=options.seed,
        verbose=verbose,
    )
    with replacing(search.workdir / f"encoder_{space}_{bits}.keras") as partial:
        encoder.save(partial)
    activations = search.activations
    index = CodeIndex(
        encode(encoder, activations.chunks("train", space)), {**activations.about, "of": space}
    )
    index.save(search.workdir / f"codes_{space}_{bits}.npz")
    return encoder, index


def _measure_random_codes(options):
    """Measures memory and speed among random codes, by the number of bits."""
    import numpy as np
    from tqdm import tqdm

    from alexnet_keras.retrieval import CodeIndex

    random = np.random.default_rng(options.seed)
    measured = {}
    for bits in tqdm(options.bits, f"Searching {options.random_codes:,} random codes"):
        index = CodeIndex(
            random.integers(0, 256, (options.random_codes, bits // 8), dtype="uint8"), {}
        )
        queries = random.integers(0, 256, (_SPEED_QUERIES, bits // 8), dtype="uint8")
        measured[str(bits)] = {
            "bytes": index.codes.nbytes,
            "queries_per_second": _queries_per_second(index.search, queries, options.neighbors),
        }
    return measured


def _draw(search, spaces, options):
    from alexnet_keras.plots import plot_codes, save_figure

    precisions = {}
    for space, measured in spaces.items():
        by_bits = {int(bits): row["precision"] for bits, row in measured["codes"].items()}
        precisions[space] = {"exact": measured["exact"]["precision"], "codes": by_bits}
    save_figure(
        plot_codes(precisions, search.chance, options.neighbors), search.workdir / "codes.png"
    )


def table(results: dict) -> str:
    """Returns the measurements as Markdown."""
    count = results["settings"]["neighbors"]
    depth = results["settings"]["depth"]
    lines = [
        f"| of | distance | precision at {count} | mAP at {depth} | bytes an image "
        "| queries/s, one core | images |",
        "|---|---|---|---|---|---|---|",
    ]
    for space, measured in results["spaces"].items():
        rows = {"Euclidean, exact": measured["exact"]}
        rows |= {f"Hamming, {bits} bits": row for bits, row in measured["codes"].items()}
        for name, row in rows.items():
            lines.append(
                f"| {space} | {name} | {100 * row['precision']:.1f}% "
                f"| {100 * row['map']:.1f}% | {row['bytes']:,} "
                f"| {row['queries_per_second']:,.0f} | {row['images']:,} |"
            )
    lines.append(f"| chance | | {100 * results['chance']:.1f}% | | | | |")
    for bits, row in results["random_codes"]["bits"].items():
        lines.append(
            f"| random codes | Hamming, {bits} bits | | | {int(bits) // 8} "
            f"| {row['queries_per_second']:,.0f} | {results['random_codes']['count']:,} |"
        )
    return "\n".join(lines)


def _first_vectors(activations, space, most):
    """The vectors of the first training images, whose stored order mixes the classes."""
    import numpy as np

    parts = []
    missing = most
    for chunk in activations.chunks("train", space):
        parts.append(chunk[:missing])
        missing -= len(parts[-1])
        if not missing:
            break
    return np.concatenate(parts)


def _queries_per_second(search, queries, count, repetitions=7):
    """The median speed of one core over some repetitions, with all queries in one batch."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # several threads wait for each other if other programs run
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        search(queries, count)
        seconds.append(time.perf_counter() - start)
    faiss.omp_set_num_threads(threads)
    return len(queries) / statistics.median(seconds)


def main(arguments=None):
    parser = network_parser("codes", __doc__)
    add_search_options(parser)
    parser.add_argument(
        "--bits",
        type=int,
        nargs="+",
        default=[32, 64, 128],
        help="lengths of the codes, bits (default: 32 64 128)",
    )
    parser.add_argument(
        "--hidden",
        type=int,
        default=512,
        help="units in a hidden layer of an autoencoder (default: 512)",
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="epochs of an autoencoder (default: 20)"
    )
    parser.add_argument(
        "--fit-images",
        type=int,
        default=20_000,
        help="maximum number of training images of an autoencoder (default: 20000)",
    )
    parser.add_argument(
        "--random-codes",
        type=int,
        default=1_000_000,
        help="random codes to search, for the speed (default: 1000000)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of weights, order of images and random codes (default: 0)",
    )
    return run_command(parser, codes, arguments)


if __name__ == "__main__":
    main()
