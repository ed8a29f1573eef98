"""Puts stored results into the package `experiments` of the wheel; see also pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESULTS = Path(__file__).parent / "results"


class BuildWithResults(build_py):
    """Copies tables and numbers, not pictures. An editable install reads the checkout's."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for source in sorted(RESULTS.rglob("*")):
            if source.suffix not in (".json", ".md"):
                continue
            target = Path(self.build_lib, "experiments", "stored_results")
            target /= source.relative_to(RESULTS)
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target), preserve_mode=False)


setup(cmdclass={"build_py": BuildWithResults})
