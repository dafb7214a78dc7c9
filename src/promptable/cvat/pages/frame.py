"""A page in the frame that all pages share."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template


def framed(package: str, title: str, scripts: Sequence[str] = (), shared: Sequence[str] = (), **parts: str) -> str:
    """The page that ``page.html``, ``page.css`` and the scripts of a package describe.

    ``shared`` are scripts of this folder: ``links.js`` for links that one works through.
    ``title`` and each of ``parts`` stand for their ``$name`` in ``page.html``. The title is a text; parts are HTML as
    they come, in which what people have named is escaped already.
    """
    base, own = files(__package__), files(package)
    text = escape(title)
    code = [
        folder.joinpath(name).read_text("utf-8") for folder, names in ((base, shared), (own, scripts)) for name in names
    ]
    script = "\n".join(['"use strict";', *code])
    return Template(base.joinpath("base.html").read_text("utf-8")).substitute(
        title=text,
        style=base.joinpath("base.css").read_text("utf-8") + own.joinpath("page.css").read_text("utf-8"),
        body=Template(own.joinpath("page.html").read_text("utf-8")).substitute(parts, title=text),
        script=script,
        policy=_policy(script),
    )


def _policy(script: str) -> str:
    """What a browser lets the page do, whatever names of labels or files may hold: run this script and show pictures
    that the page contains. It loads nothing and sends nothing anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
