"""Judging what became of what runs wrote: it is found again by id or place in CVAT, and compared."""
