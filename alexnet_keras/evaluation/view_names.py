"""Names of the test views. They need no Keras, so options are parsed without it."""

# Names of the test views, and how many views of an image pass through the network.
TEST_VIEWS = {"center": 1, "ten_crop": 10, "nine_crop": 9, "dense": 2}
CROPS = ("center", "ten_crop", "nine_crop")
CROP_LABELS = {"center": "the center crop", "ten_crop": "ten crops", "nine_crop": "nine crops"}


def check_test_views(test_views: str, accepted: tuple[str, ...] = tuple(TEST_VIEWS)) -> None:
    """Raises a `ValueError` for a name that is not among the accepted test views."""
    if test_views not in accepted:
        raise ValueError(
            f"`test_views` must be one of {', '.join(accepted)}. Received: "
            f"test_views={test_views!r}"
        )
