"""One colour a verdict, on pictures and in tables: from green, nothing to do, to red and blue, nothing was right."""

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
