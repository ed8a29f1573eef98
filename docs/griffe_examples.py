"""Shows the examples of docstrings as code."""

import re

import griffe

_EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


class Examples(griffe.Extension):
    """Puts the lines of an interactive example, from `>>>` to an empty line, into a code block."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            text = _EXAMPLE.sub(lambda match: f"```pycon\n{match[0]}\n```", obj.docstring.value)
            obj.docstring.value = text
