"""The paper's PCA color noise, for arrays and tensors of any library."""

import numpy as np

PCA_NOISE = ("none", "eigenvalue", "standard_deviation")
NOISE_STDDEV = 0.1


def color_shift(alpha, covariance: np.ndarray, convention: str):
    """Returns the colors that PCA noise adds, one color to all pixels of an image.

    The color is `sum_i p_i * alpha_i * s_i` with the eigenvectors `p_i` of the covariance. For
    `"eigenvalue"` (the paper's formula) `s_i` is the eigenvalue `lambda_i`. For
    `"standard_deviation"` (2012 source) it is the square root, the standard deviation along `p_i`.

    The first eigenvalue of photographs with values 0-255 is above ten thousand. The paper's formula
    to the letter therefore shifts whole images by more than a thousand gray levels. The source's
    convention shifts them by about twelve.

    Args:
        alpha: float32 `(batch, 3)`, from a Gaussian with standard deviation 0.1.
        covariance: `(3, 3)`, of RGB pixel values 0-255.
        convention: `"eigenvalue"` or `"standard_deviation"`.

    Returns:
        float32 `(batch, 3)`, in pixel values.

    Reference: section 4.1 of Krizhevsky et al. (2012); 2012 source.
    """
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    scale = eigenvalues if convention == "eigenvalue" else np.sqrt(eigenvalues)
    return alpha @ (eigenvectors * scale).T.astype("float32")


def noise_divisor(convention: str) -> float:
    """Returns the divisor of noisy images: 1.1 for `"standard_deviation"` (2012 source), else 1."""
    return 1.0 + NOISE_STDDEV if convention == "standard_deviation" else 1.0


def subtract_mean(crops, mean, shift, divisor):
    """Returns the input of a network: `(crops - mean + shift) / divisor`.

    Args:
        crops: float32 `(batch, size, size, 3)`, 0-255.
        mean: float32 `(size, size, 3)`.
        shift: float32 `(batch, 3)`, the color noise of each image, of `color_shift`.
        divisor: a number, or one for each image, `(batch, 1, 1, 1)`. It is `noise_divisor`, which
            keeps the scale of the values, and 1 without noise.

    Returns:
        float32 `(batch, size, size, 3)`.

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012); 2012 source.
    """
    return (crops - mean + shift[:, None, None, :]) / divisor
