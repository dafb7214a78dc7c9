"""Text from outside made safe for the place where it is written: a terminal, the journal, a spreadsheet."""

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def for_a_terminal(text: str) -> str:
    """The text, control characters replaced: in a label's name, they could clear a terminal or write its clipboard."""
    return text.translate(_CONTROLS)


def for_a_journal(address: str) -> str:
    """An address without its query, which may contain a gateway's key."""
    return address.partition("?")[0]


def for_a_spreadsheet(cell: str) -> str:
    """The cell, with an apostrophe in front if a spreadsheet would compute it as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
