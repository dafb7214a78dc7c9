"""What to look at of a run, as a page: one file that works without a network, whose links open CVAT's editor."""

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape

from PIL.Image import Image

from promptable.cvat.pages.frame import framed
from promptable.cvat.pages.pictures import address
from promptable.cvat.plural import counted
from promptable.cvat.propagate.review.places import Followed, Place, Review

Opens = Callable[[int, int], str]
"""The address of a job, by its id, at a frame, by the task's number."""

_QUALITY = 60
_MOST_PICTURES, _MOST_CHARACTERS = 200, 2_500_000
_MOST_ROWS = 1000
_MOST_OBJECTS = 256
"""With so many a page stays below 5 MB, however long their labels' names."""
_HEIGHT = 24
_MEASURES = {
    "back": "score",
    "unsure": "score",
    "jumped": "overlap",
    "grew": "ratio of sizes",
    "shrank": "ratio of sizes",
}


def pictured(review: Review) -> list[Place]:
    """The places that a page has pictures of: the worst."""
    return _worst_first(review)[:_MOST_PICTURES]


def render(title: str, run: int, review: Review, pictures: Mapping[Place, Image], opens: Opens) -> str:
    """The page. ``pictures`` are of the worst places; ``opens`` says where a link goes."""
    objects, places = review.by_doubts(), _worst_first(review)
    figures = _figures(places, pictures, opens)
    rest = [place for place in places if place not in figures]
    return framed(
        __package__,
        title,
        shared=("links.js",),
        about=f"Run {run}: {counted(len(objects), 'object')}, {_to_look_at(len(places))}.",
        objects="\n".join(_object(one, count, review.bins) for one, count in objects[:_MOST_OBJECTS]),
        more_objects=_more(len(objects) - _MOST_OBJECTS, "objects"),
        worst="\n".join(figures.values()),
        rest="\n".join(_row(place, opens) for place in rest[:_MOST_ROWS]),
        more_places=_more(len(rest) - _MOST_ROWS, "places"),
    )


def _to_look_at(places: int) -> str:
    return f"{counted(places, 'place')} to look at" if places else "and nothing that should be looked at"


def _worst_first(review: Review) -> list[Place]:
    """Those first of which the least speaks for what was found."""
    return sorted(review.places, key=lambda place: (place.sure, place.frame))


def _figures(places: Sequence[Place], pictures: Mapping[Place, Image], opens: Opens) -> dict[Place, str]:
    """Places with pictures, as many as there is room for."""
    figures: dict[Place, str] = {}
    room = _MOST_CHARACTERS
    for place in places:
        if place in pictures and room > 0:
            figures[place] = _figure(place, address(pictures[place], _QUALITY), opens)
            room -= len(figures[place])
    return figures


def _object(one: Followed, count: int, bins: int) -> str:
    cells = (f"{one.found} of {one.frames}", f"{one.weakest:.2f}", f"{count}", _strip(one.bins, bins))
    return f"<tr><th>{_name(one)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _strip(bins: Mapping[int, float], count: int) -> str:
    """A bar for each part of the frames, as high as the tracker was sure there; across where it was lost."""
    sure = "".join(f"M{x}.5 {_HEIGHT}V{_HEIGHT * (1 - score):.0f}" for x, score in sorted(bins.items()) if score)
    lost = "".join(f"M{x}.5 {_HEIGHT}V0" for x, score in sorted(bins.items()) if not score)
    paths = f'<path class="sure" d="{sure}"/><path class="lost" d="{lost}"/>'
    box = f'viewBox="0 0 {count} {_HEIGHT}" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="how sure, 0 to 1, frame by frame">{paths}</svg>'


def _figure(place: Place, picture: str, opens: Opens) -> str:
    where = f"frame {place.frame}, job {place.job}"
    caption = f"<b>{place.what}</b> {_name(place)} <span>{where}{_measure(place)}</span>"
    image = f'<img src="{picture}" alt="" loading="lazy">'
    return f"<figure {_data(place)}>{_link(place, opens, f'{image}<figcaption>{caption}</figcaption>')}</figure>"


def _row(place: Place, opens: Opens) -> str:
    link = _link(place, opens, f"frame {place.frame}")
    cells = (f"<td>{link}</td>", f"<td>job {place.job}</td>", f'<td class="what">{place.what}</td>')
    return f"<tr {_data(place)}>{''.join(cells)}<td>{_measure(place).lstrip(', ')}</td><td>{_name(place)}</td></tr>"


def _measure(place: Place) -> str:
    """What was measured, behind a comma; nothing of one that is lost."""
    return f", {_MEASURES[place.what]} {place.sure:.2f}" if place.what in _MEASURES else ""


def _link(place: Place, opens: Opens, content: str) -> str:
    where = escape(opens(place.job, place.frame))
    return f'<a href="{where}" target="cvat">{content}</a>'


def _data(place: Place) -> str:
    label = escape(json.dumps([place.label], ensure_ascii=False))
    return f'data-names="{label}" data-what="{escape(json.dumps([place.what]))}"'


def _name(one: Followed | Place) -> str:
    return f"{escape(one.label)} {one.number + 1}"


def _more(count: int, what: str) -> str:
    return f"and {count} more {what}, of which less is to be said" if count > 0 else ""
