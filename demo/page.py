"""index.html: what the functions answered, beside the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, figures by name, and the files of pictures that show truth and answer side by side."""

    title: str
    text: str
    figures: Mapping[str, float]
    pictures: Sequence[str]


_TEMPLATE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Promptable: what the functions answered</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 1640px; margin: 2rem auto; padding: 0 1rem; color: #222; }
  h2 { margin-top: 3rem; }
  dl { display: flex; gap: 2rem; margin: 1rem 0; }
  dt { color: #666; font-size: .85rem; }
  dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
  .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(560px, 1fr)); gap: 1rem; }
  img { width: 100%; border-radius: 4px; }
</style>
<h1>Promptable: what the functions answered</h1>
<p>{{ lead }}</p>
{% for section in sections %}
<h2>{{ section.title }}</h2>
<p>{{ section.text }}</p>
<dl>{% for name, value in section.figures.items() %}
  <div><dt>{{ name }}</dt><dd>{{ "%.3f" | format(value) }}</dd></div>{% endfor %}
</dl>
<div class="pictures">{% for picture in section.pictures %}
  <img src="{{ picture }}" alt="{{ section.title }}" loading="lazy">{% endfor %}
</div>
{% endfor %}
</html>
""",
    autoescape=True,
)


def write(path: Path, lead: str, sections: Sequence[Section]) -> None:
    """Write the page; pictures are named relative to it."""
    path.write_text(_TEMPLATE.render(lead=lead, sections=sections))
