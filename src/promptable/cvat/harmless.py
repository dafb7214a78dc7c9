"""What people have named, on its way to where it could do something."""

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def for_a_terminal(text: str) -> str:
    """Without control characters: in a label's name, say, they could clear a terminal or write to its clipboard."""
    return text.translate(_CONTROLS)


def for_a_journal(address: str) -> str:
    """An address without its query, which may hold what a gateway lets in."""
    return address.partition("?")[0]


def for_a_spreadsheet(cell: str) -> str:
    """With an apostrophe before what spreadsheets would compute."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
