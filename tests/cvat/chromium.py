"""Pages in a headless Chromium, where one is installed."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')

needs_chromium = pytest.mark.skipif(_BROWSER is None, reason="no Chromium is installed: apt-get install chromium")


def opened(page: str, folder: Path) -> str:
    """The page's elements once it has opened, as HTML."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    assert _BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command = [_BROWSER, *options, "--virtual-time-budget=60000", "--dump-dom", file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stdout  # noqa: S603


def run_in_page(page: str, code: str, folder: Path) -> Any:
    """What ``code``, the body of an async function, returns in the page once it has opened; JSON.

    The page's policy, which lets no other script than its own run, is taken away.
    """
    ending = f"""<script>(async () => {{
      const result = document.createElement("pre");
      result.id = "result";
      try {{
        while (!document.body.dataset.ready) await new Promise((done) => setTimeout(done, 20));
        result.textContent = JSON.stringify(await (async () => {{ {code} }})());
      }} catch (error) {{ result.textContent = JSON.stringify({{ failed: String(error.stack) }}); }}
      document.body.append(result);
    }})();</script></body>"""
    dumped = opened(_POLICY.sub("", page).replace("</body>", ending), folder)
    found = re.search(r'<pre id="result">(.*?)</pre>', dumped, re.DOTALL)
    assert found, dumped[-2000:]
    result = json.loads(unescape(found[1]))
    assert not (isinstance(result, dict) and "failed" in result), result
    return result
