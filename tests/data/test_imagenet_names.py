from alexnet_keras.data.imagenet_names import imagenet_names

# Imagenette's documentation has these ten; the others are often mixed up.
KNOWN = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n02113186": "Cardigan (dog)",
    "n02963159": "cardigan",
    "n03710637": "maillot",
    "n03710721": "maillot (tank suit)",
}


def test_a_thousand_classes_in_the_order_of_the_labels():
    names = imagenet_names()
    assert len(names) == 1000
    assert list(names) == sorted(names)
    assert all(number[0] == "n" and number[1:].isdecimal() and len(number) == 9 for number in names)
    # Labels that many libraries print: 0, 207, 281, 388, 954 and 999.
    in_order = list(names.values())
    known = ["tench", "golden retriever", "tabby", "giant panda", "banana", "toilet tissue"]
    assert [in_order[label] for label in (0, 207, 281, 388, 954, 999)] == known
    assert {number: names[number] for number in KNOWN} == KNOWN


def test_names_are_unique_also_without_capitals():
    names = imagenet_names().values()
    assert len({name.casefold() for name in names}) == 1000
    assert all(name == name.strip() and name.isprintable() and name for name in names)
