"""The command `alexnet export` in a checkout: `python -m experiments.export --help` explains it."""

import alexnet_command


def main(arguments=None):
    """Runs the command; it takes the arguments of `alexnet_keras.cli.export.main`."""
    return alexnet_command.run("export", arguments)


if __name__ == "__main__":
    main()
