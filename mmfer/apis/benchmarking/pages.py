"""Tables in pages of Markdown: what stands between two marks is made anew from the results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

_BLOCK = re.compile(r'(<!-- mmfer benchmark (?P<name>[\w.+-]+)(?: .*?)?-->\n).*?(<!-- end -->)', re.DOTALL)


def fill(page: str, section: Callable[[str], str | None]) -> str:
    """Puts a section between each `<!-- mmfer benchmark NAME -->` and the `<!-- end -->` behind it.

    Args:
        page: The page's text.
        section: Gives what belongs there by the name of a grid; None leaves what is there.
    """

    def block(found: re.Match[str]) -> str:
        made = section(found['name'])
        return found[0] if made is None else f'{found[1]}\n{made.strip()}\n\n{found[3]}'

    return _BLOCK.sub(block, page)


def marked(paths: Iterable[Path]) -> dict[Path, list[str]]:
    """Pages that have such marks, with the grids that they name."""
    found = {path: [match['name'] for match in _BLOCK.finditer(path.read_text(encoding='utf-8'))] for path in paths}
    return {path: names for path, names in found.items() if names}
