"""Writes the files of PyTorch that the tests read; only this script needs PyTorch.

    python -m tests.files.make_torch_files

`narrow_alexnet.pth` holds torchvision's alexnet with few maps and units, in the zip format, and
`narrow_alexnet_legacy.pth` in the old one. `narrow_alexnet_logits.json` has what PyTorch's own
module computes from `images()`. `types.pth` and `types_legacy.pth` hold tensors of every type and
layout.
"""

import json
from pathlib import Path

import numpy as np

FILTERS = (4, 6, 8, 6, 4)
UNITS = (12, 10)
CLASSES = 5
FOLDER = Path(__file__).parent


def images():
    """Two RGB images `(2, 224, 224, 3)`, 0-255: 7x7 squares of random colors."""
    colors = np.random.RandomState(0).randint(0, 256, (2, 7, 7, 3))
    return np.kron(colors, np.ones((1, 32, 32, 1))).astype("float32")


def main():
    import torch

    torch.manual_seed(0)
    net = _alexnet(torch.nn).eval()
    for parameter in net.parameters():
        if parameter.ndim > 1:  # so that the logits depend on the image more than on the biases
            torch.nn.init.kaiming_normal_(parameter)
    mean = np.array([0.485, 0.456, 0.406])
    std = np.array([0.229, 0.224, 0.225])
    inputs = ((images() / 255 - mean) / std).transpose(0, 3, 1, 2)
    with torch.no_grad():
        logits = net(torch.tensor(inputs, dtype=torch.float32)).tolist()
    (FOLDER / "narrow_alexnet_logits.json").write_text(json.dumps(logits) + "\n")
    _save(torch, net.state_dict(), "narrow_alexnet")
    _save(
        torch,
        {"epoch": 3, "loss": 0.5, "model_state_dict": _types(torch), "args": [None, True]},
        "types",
    )


def _save(torch, content, name):
    torch.save(content, FOLDER / f"{name}.pth")
    torch.save(content, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)


def _types(torch):
    """A tensor of each type, a parameter, views, and names with the prefixes of wrappers."""
    kinds = {
        **{"float64": torch.float64, "float32": torch.float32, "float16": torch.float16},
        **{"bfloat16": torch.bfloat16, "int64": torch.int64, "int32": torch.int32},
        **{"int16": torch.int16, "int8": torch.int8, "uint8": torch.uint8, "bool": torch.bool},
    }
    # 0, 0.5, ... 5.5: bfloat16 and float16 hold them exactly.
    table = torch.arange(12).reshape(3, 4) / 2
    tensors = {f"module.{name}": table.to(kind) for name, kind in kinds.items()}
    tensors["model._orig_mod.parameter"] = torch.nn.Parameter(table.clone())
    shared = torch.arange(12.0).reshape(3, 4)
    tensors["column"] = shared[:, 1]
    tensors["transposed"] = shared.t()
    tensors["scalar"] = torch.tensor(7)
    tensors["empty"] = torch.zeros(0, 3)
    return tensors


def _alexnet(nn):
    """torchvision's alexnet, layer by layer, with fewer maps and units."""
    conv1, conv2, conv3, conv4, conv5 = FILTERS

    class AlexNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                *(nn.Conv2d(3, conv1, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(conv1, conv2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(conv2, conv3, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(conv3, conv4, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(conv4, conv5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            )
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
            self.classifier = nn.Sequential(
                *(nn.Dropout(), nn.Linear(conv5 * 36, UNITS[0]), nn.ReLU()),
                *(nn.Dropout(), nn.Linear(UNITS[0], UNITS[1]), nn.ReLU()),
                nn.Linear(UNITS[1], CLASSES),
            )

        def forward(self, x):
            return self.classifier(self.avgpool(self.features(x)).flatten(1))

    return AlexNet()


if __name__ == "__main__":
    main()
