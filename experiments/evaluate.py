"""The command `alexnet evaluate` in a checkout; see `python -m experiments.evaluate --help`."""

import alexnet_command


def main(arguments=None):
    """Runs the command; it takes the arguments of `alexnet_keras.cli.evaluate.main`."""
    return alexnet_command.run("evaluate", arguments)


if __name__ == "__main__":
    main()
