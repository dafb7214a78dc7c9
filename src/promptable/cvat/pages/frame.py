"""A page in the frame that all pages share."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template


def framed(
    package: str, title: str, scripts: Sequence[str] = ("page.js",), shared: Sequence[str] = (), **parts: str
) -> str:
    """The page that ``page.html``, ``page.css`` and the scripts of a package describe.

    ``shared`` are scripts of this folder: ``links.js`` for links that one works through.
    ``title`` and each of ``parts`` stand for their ``$name`` in ``page.html``. The title is a text; parts are HTML as
    they come, in which what people have named is escaped already.
    """
    base, own = files(__package__), files(package)
    text = escape(title)
    return Template(base.joinpath("base.html").read_text("utf-8")).substitute(
        title=text,
        style=base.joinpath("base.css").read_text("utf-8") + own.joinpath("page.css").read_text("utf-8"),
        body=Template(own.joinpath("page.html").read_text("utf-8")).substitute(parts, title=text),
        script="\n".join(
            folder.joinpath(name).read_text("utf-8")
            for folder, names in ((base, shared), (own, scripts))
            for name in names
        ),
    )
