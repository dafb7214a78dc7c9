"""The colours of verdicts, on pictures and in tables: green is accepted, red deleted, blue added by hand."""

from promptable.cvat.effort.judging.verdicts import Verdict

COLOURS = {
    Verdict.UNCHANGED: "#2a9d6f",
    Verdict.MINOR: "#93cf5f",
    Verdict.EDITED: "#f2c14e",
    Verdict.REWORKED: "#e8772e",
    Verdict.RELABELLED: "#9b6bd6",
    Verdict.DELETED: "#d93a3a",
    Verdict.ADDED: "#2f80ed",
}
