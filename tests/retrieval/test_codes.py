import keras
import numpy as np
import pytest

from alexnet_keras.retrieval import encode, train_encoder


def clusters(random, count=240, numbers=40):
    """Points about eight centers, and the center of each."""
    centers = random.normal(0, 3, (8, numbers))
    labels = np.arange(count) % 8
    return (centers[labels] + random.normal(0, 0.3, (count, numbers)) + 5).astype("float32"), labels


def test_codes_keep_what_is_near_together(random, tmp_path):
    vectors, labels = clusters(random)
    encoder = train_encoder(vectors, 16, hidden=32, epochs=15, batch_size=32, learning_rate=0.003)
    codes = encode(encoder, [vectors[:100], vectors[100:]])
    assert (codes.dtype, codes.shape) == (np.uint8, (240, 2))
    bits = np.unpackbits(codes, axis=1)
    distance = (bits[:, None] != bits[None]).sum(-1)
    same = labels[:, None] == labels[None]
    assert distance[same].mean() < 0.35 * distance[~same].mean()
    assert 0.2 < bits.mean() < 0.8
    output = encoder.predict(vectors[:10], verbose=0)
    assert set(np.unique(output)) <= {0.0, 1.0}
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(encode(again, [vectors]), codes)


def test_pixels_and_dead_units_have_codes_too(random):
    pixels = random.randint(0, 256, (40, 12)).astype("uint8")
    pixels[:, 3] = 7
    encoder, repeated = (train_encoder(pixels, 8, hidden=8, epochs=1) for _ in range(2))
    assert encode(encoder, [pixels]).shape == (40, 1)
    np.testing.assert_array_equal(encode(encoder, [pixels]), encode(repeated, [pixels]))
    assert np.isfinite(np.concatenate([w.ravel() for w in encoder.get_weights()])).all()


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`bits` must be a positive multiple of 8. Received: bits=12"
    ):
        train_encoder(np.zeros((5, 3)), 12)
    with pytest.raises(
        ValueError,
        match=r"`vectors` must be two or more, \(images, numbers\). Received: shape \(1, 3\)",
    ):
        train_encoder(np.zeros((1, 3)), 8)
