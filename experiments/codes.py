"""Binary codes of the last hidden layer's activations, and what the search loses and wins by them.

    python -m experiments.codes --weights runs/x/best.keras

The proposal (section 6.1, last paragraph): Euclidean distance between 4096 real numbers is slow; an autoencoder can
compress them to short binary codes, which should give far better retrieval than an autoencoder of raw pixels. Measured:
precision and mean average precision of codes of 32, 64 and 128 bits by Hamming distance, of both, against the exact
search; memory; queries a second, also among a million made-up codes.

The autoencoders are trained on up to --fit-images training images; what is found is found among all of them.

Time: ten minutes for CIFAR-10 and a small network, on two cores beside another training. Figures, of the real
network on Imagenette (34.9% top-1 error, 1,000 queries): precision at 6 of 55.0, 57.1 and 57.5% with 32, 64 and 128
bits, where the exact search has 55.8%, in 16 bytes for 16,384 at the most; codes of pixels 24.9, 27.6 and 29.0%. In a
million made-up codes, 850 to 1,360 queries a second on one core, as many as the exact search does in 9,469 images.
"""

import statistics
import sys
import time

from experiments.framework.cli import run
from experiments.framework.trained_network import parser
from experiments.neighbours import SPACES, Search, add_search_options


def codes(options, command=None):
    """Trains the autoencoders and measures the search; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np
    from tqdm import tqdm

    from alexnet_keras.files import replacing
    from alexnet_keras.plots import plot_codes, save_figure
    from alexnet_keras.retrieval import CodeIndex, encode, nearest, train_encoder

    for name in ("hidden", "epochs", "made_up"):
        if getattr(options, name) < 1:
            raise ValueError(f"`{name}` must be positive. Received: {name}={getattr(options, name)}")
    if options.fit_images < 2:
        raise ValueError(f"`fit_images` must be two or more. Received: fit_images={options.fit_images}")
    wrong = [bits for bits in options.bits if bits < 8 or bits % 8]
    if wrong or len(set(options.bits)) < len(options.bits):
        raise ValueError(f"`bits` must be different positive multiples of 8. Received: bits={options.bits}")
    search = Search(options, "codes", also=("bits", "hidden", "epochs", "fit_images", "seed"))
    workdir, activations = search.workdir, search.activations
    spaces, precisions, verbose = {}, {}, 1 if sys.stdout.isatty() else 2
    for space in SPACES:
        searched, found = search.exact(space)
        exact, _ = search.relevance(found)
        vectors = _sample(activations, space, options.fit_images)
        speed = _speed(lambda some, k: nearest(some, [vectors], k), searched, options.neighbours)  # noqa: B023
        spaces[space] = {
            "exact": {
                **exact,
                "bytes": 4 * vectors.shape[1],
                "queries_per_second": speed,
                "searched_at_that_speed": len(vectors),
            },
            "codes": {},
        }
        for bits in options.bits:
            print(f"Autoencoder: {space} to {bits} bits, {len(vectors):,} images", flush=True)
            encoder = train_encoder(
                vectors, bits, hidden=options.hidden, epochs=options.epochs, seed=options.seed, verbose=verbose
            )
            with replacing(workdir / f"encoder_{space}_{bits}.keras") as partial:
                encoder.save(partial)
            index = CodeIndex(encode(encoder, activations.chunks("train", space)), {**activations.about, "of": space})
            index.save(workdir / f"codes_{space}_{bits}.npz")
            codes_ = encode(encoder, [searched])
            measured, precision = search.relevance(index.search(codes_, search.count)[1])
            if bits == max(options.bits):
                precisions[space] = precision
            same = CodeIndex(index.codes[: len(vectors)], {})
            spaces[space]["codes"][str(bits)] = {
                **measured,
                "bytes": bits // 8,
                "queries_per_second": _speed(same.search, codes_, options.neighbours),
                "searched_at_that_speed": len(vectors),
            }
    figure = plot_codes(
        {
            space: {
                "exact": measured["exact"]["precision"],
                "codes": {int(bits): figures["precision"] for bits, figures in measured["codes"].items()},
            }
            for space, measured in spaces.items()
        },
        search.chance,
        options.neighbours,
    )
    save_figure(figure, workdir / "codes.png")
    random = np.random.default_rng(options.seed)
    million = {}
    for bits in tqdm(options.bits, f"Searching {options.made_up:,} made-up codes"):
        made_up = CodeIndex(random.integers(0, 256, (options.made_up, bits // 8), dtype="uint8"), {})
        some = random.integers(0, 256, (100, bits // 8), dtype="uint8")
        million[str(bits)] = {
            "bytes": made_up.codes.nbytes,
            "queries_per_second": _speed(made_up.search, some, options.neighbours),
        }
    claim = f"Codes of {max(options.bits)} bits of activations are better than codes of pixels"
    made_up = {"codes": options.made_up, "bits": million}
    results = search.store(command, spaces, precisions, claim, made_up=made_up)
    print(table(results))
    return results


def table(results):
    """What was measured as Markdown."""
    count, depth = results["settings"]["neighbours"], results["settings"]["depth"]
    lines = [
        f"| of | distance | precision at {count} | mAP at {depth} | bytes an image | queries/s, one core | images |",
        "|---|---|---|---|---|---|---|",
    ]
    for space, measured in results["spaces"].items():
        rows = {"Euclidean, exact": measured["exact"]}
        rows |= {f"Hamming, {bits} bits": figures for bits, figures in measured["codes"].items()}
        lines += [
            f"| {space} | {name} | {100 * row['precision']:.1f}% | {100 * row['map']:.1f}% | {row['bytes']:,} | "
            f"{row['queries_per_second']:,.0f} | {row['searched_at_that_speed']:,} |"
            for name, row in rows.items()
        ]
    lines.append(f"| chance | | {100 * results['chance']:.1f}% | | | | |")
    lines += [
        f"| made-up codes | Hamming, {bits} bits | | | {int(bits) // 8} | {row['queries_per_second']:,.0f} | "
        f"{results['made_up']['codes']:,} |"
        for bits, row in results["made_up"]["bits"].items()
    ]
    return "\n".join(lines)


def _sample(activations, space, most):
    """The first training images' vectors; the images are stored in an order that mixes the classes."""
    import numpy as np

    parts, left = [], most
    for chunk in activations.chunks("train", space):
        parts.append(chunk[:left])
        left -= len(parts[-1])
        if not left:
            break
    return np.concatenate(parts)


def _speed(search, queries, count, repetitions=7):
    """Queries per second of one core, all given together: the median over some repetitions."""
    import faiss

    threads, seconds = faiss.omp_get_max_threads(), []
    faiss.omp_set_num_threads(1)  # several wait for each other where other programs run, too
    for _ in range(repetitions):
        start = time.perf_counter()
        search(queries, count)
        seconds.append(time.perf_counter() - start)
    faiss.omp_set_num_threads(threads)
    return len(queries) / statistics.median(seconds)


def main(arguments=None):
    made = parser("codes", __doc__)
    add_search_options(made)
    made.add_argument("--bits", type=int, nargs="+", default=[32, 64, 128], help="code lengths (default: 32 64 128)")
    made.add_argument("--hidden", type=int, default=512, help="units of the autoencoders' hidden layers (default: 512)")
    made.add_argument("--epochs", type=int, default=20, help="epochs of the autoencoders (default: 20)")
    made.add_argument(
        "--fit-images", type=int, default=20_000, help="images they are trained on, at most (default: 20000)"
    )
    made.add_argument(
        "--made-up", type=int, default=1_000_000, help="made-up codes to search among (default: a million)"
    )
    made.add_argument("--seed", type=int, default=0, help="fixes weights, order and made-up codes (default: 0)")
    return run(made, codes, arguments)


if __name__ == "__main__":
    main()
