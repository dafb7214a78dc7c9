"""index.html: what the functions answered, beside the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from jinja2 import Template


@dataclass(frozen=True)
class Table:
    """Counts: what rows and columns are, the columns' names, and each row's name and numbers."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, figures by name, and the files of pictures that show truth and answer side by side."""

    title: str
    text: str
    figures: Mapping[str, float]
    pictures: Sequence[str]
    table: Table | None = None


_TEMPLATE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Promptable: what the functions answered</title>
<style>
  :root { color-scheme: light dark; --soft: light-dark(#666, #9aa3af); }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 1640px; margin: 2rem auto; padding: 0 1rem; }
  body { color: light-dark(#222, #e4e6ea); background: light-dark(#fff, #131519); }
  h2 { margin-top: 3rem; }
  dl { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: 1rem 0; }
  dt { color: var(--soft); font-size: .85rem; }
  dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
  .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 1rem; }
  .table { overflow-x: auto; }
  table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; margin: 1rem 0; }
  caption { text-align: left; color: var(--soft); padding-bottom: .5rem; }
  th { font-weight: normal; text-align: right; padding-right: .4rem; white-space: nowrap; }
  thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .3rem 0 0; }
  td { border: 1px solid light-dark(#e4e4e4, #3a3f47); width: 1.5rem; height: 1.5rem; text-align: center; }
  td { background: light-dark(#fbe3e0, #5c2b27); }
  td.right { background: light-dark(#d5efd8, #1f4d2a); }
  td.none { background: none; color: transparent; }
  img { width: 100%; border-radius: 4px; }
</style>
<h1>Promptable: what the functions answered</h1>
<p>{{ lead }}</p>
{% for title, page in links.items() %}<p><a href="{{ page }}">{{ title }}</a></p>{% endfor %}
{% for section in sections %}
<h2>{{ section.title }}</h2>
<p>{{ section.text }}</p>
<dl>{% for name, value in section.figures.items() %}
  <div><dt>{{ name }}</dt><dd>{{ value if value is integer else "%.3f" | format(value) }}</dd></div>{% endfor %}
</dl>
{% if section.table %}<div class="table"><table>
<caption>{{ section.table.caption }}</caption>
<thead><tr><td class="none"></td>{% for name in section.table.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
{% for name, counts in section.table.rows %}<tr><th>{{ name }}</th>{% for count in counts %}
<td class="{{ "none" if not count else "right" if section.table.columns[loop.index0] == name }}">{{ count }}</td>
{% endfor %}</tr>{% endfor %}
</table></div>{% endif %}
<div class="pictures">{% for picture in section.pictures %}
  <img src="{{ picture }}" alt="{{ section.title }}" loading="lazy">{% endfor %}
</div>
{% endfor %}
</html>
""",
    autoescape=True,
)


def write(path: Path, lead: str, sections: Sequence[Section], links: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the page; pictures, and pages to link to by their titles, are named relative to it."""
    path.write_text(_TEMPLATE.render(lead=lead, sections=sections, links=links))
