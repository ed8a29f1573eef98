"""The command `alexnet train` in a checkout: `python -m experiments.train --help` explains it."""

import alexnet_command


def main(arguments=None):
    """Runs the command; it takes the arguments of `alexnet_keras.cli.train.main`."""
    return alexnet_command.run("train", arguments)


if __name__ == "__main__":
    main()
