import numpy as np
import pytest

from alexnet_keras.retrieval import CodeIndex, average_precision, nearest, precision_at


def test_nearest_is_that_of_all_distances(random):
    vectors = random.normal(size=(50, 7))
    queries = random.normal(size=(5, 7))
    distances, numbers = nearest(queries, [vectors[:20], vectors[20:23], vectors[23:]], 6)
    for query, found, places in zip(queries, distances, numbers, strict=True):
        expected = np.sqrt(np.square(vectors - query).sum(1))
        assert places.tolist() == np.argsort(expected)[:6].tolist()
        np.testing.assert_allclose(found, np.sort(expected)[:6], atol=1e-3)


def test_pixels_are_vectors_too():
    images = np.zeros((3, 2, 2, 3), "uint8")
    images[1] = 10
    images[2] = 255
    distances, numbers = nearest(images[:1], [images], 3)
    assert numbers.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(distances, [[0, 10 * 12**0.5, 255 * 12**0.5]], rtol=1e-5)


def test_codes_by_hamming_distance(random, tmp_path):
    bits = random.randint(0, 2, (200, 32)).astype("uint8")
    index = CodeIndex(np.packbits(bits, axis=1), {"model": "abc"})
    distances, numbers = index.search(index.codes[:10], 20)
    for query in range(10):
        expected = (bits != bits[query]).sum(1)
        assert numbers[query, 0] == query
        assert distances[query].tolist() == np.sort(expected)[:20].tolist()
        np.testing.assert_array_equal(expected[numbers[query]], distances[query])
    index.save(tmp_path / "codes.npz")
    again = CodeIndex.load(tmp_path / "codes.npz", "abc")
    np.testing.assert_array_equal(again.search(index.codes[:10], 20)[0], distances)
    with pytest.raises(
        ValueError, match="`path` must be an index of model xyz. Received: one of model abc"
    ):
        CodeIndex.load(tmp_path / "codes.npz", "xyz")
    with pytest.raises(ValueError, match="`path` must end in .npz. Received: path='.*codes'"):
        index.save(tmp_path / "codes")
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]


def test_a_million_codes_find_themselves():
    codes = np.random.default_rng(0).integers(0, 256, (1_000_000, 16), dtype="uint8")
    distances, numbers = CodeIndex(codes, {}).search(codes[[0, 123_456, 999_999]], 2)
    assert numbers[:, 0].tolist() == [0, 123_456, 999_999]
    assert (distances[:, 0] == 0).all()
    assert (distances[:, 1] > 10).all()  # random codes of 128 bits lie some 64 apart


def test_precision_by_hand():
    relevant = [[1, 0, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0]]
    assert precision_at(relevant).tolist() == [0.5, 0]
    # (1/1 + 2/3 + 3/6 + 4/7) / 4; the class has four images, then many more than there are places.
    expected = 1 + 2 / 3 + 3 / 6 + 4 / 7
    np.testing.assert_allclose(average_precision(relevant, [4, 4]), [expected / 4, 0])
    np.testing.assert_allclose(average_precision(relevant, [100, 0]), [expected / 7, 0])
    assert average_precision([[True] * 3], [3]).tolist() == [1.0]


def test_bad_arguments():
    codes = np.zeros((3, 4), "uint8")
    with pytest.raises(
        ValueError,
        match="must be a whole number from 1 to 3, .* Received: count=4",
    ):
        CodeIndex(codes, {}).search(codes, 4)
    with pytest.raises(
        ValueError,
        match="must be a whole number from 1 to 3, .* Received: count=4",
    ):
        nearest(codes, [codes[:2], codes[2:]], 4)
    for count in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"`count` must be .* Received: count={count}"):
            nearest(codes, [codes], count)
    for queries in (codes[0], codes.astype("int64")):  # one code, and codes that are not bytes
        with pytest.raises(ValueError, match="`codes` must be uint8 .images, bytes.. Received: "):
            CodeIndex(codes, {}).search(queries, 1)
    with pytest.raises(ValueError, match="`codes` must have 32 bits, as the index. Received: 64"):
        CodeIndex(codes, {}).search(np.zeros((1, 8), "uint8"), 1)
    with pytest.raises(
        ValueError, match=r"`codes` must be uint8 \(images, bytes\). Received: float64 \(3, 4\)"
    ):
        CodeIndex(codes.astype(float), {})
    with pytest.raises(
        ValueError, match="`queries` must have the 4 numbers of the vectors. Received: 5"
    ):
        nearest(np.zeros((1, 5)), [codes], 1)
