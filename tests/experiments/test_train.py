import pytest

from alexnet_keras.training.config import TRAINING_PRESETS
from experiments.train import main


def test_help_shows_every_option_and_preset(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    printed = capsys.readouterr().out
    assert "--layer-weight-decay NAME=VALUE" in printed
    for preset, options in TRAINING_PRESETS.items():
        assert f"  {preset}: " in printed or not options
    # A number, a text, a list and a dict as the command line takes them.
    assert "cifar_11pct: dataset cifar10, learning-rate 0.001, schedule step" in printed
    assert "layer-weight-decay conv1=0 conv2=0 fc8=0.01" in printed
    assert "test-views center ten_crop nine_crop" in printed
