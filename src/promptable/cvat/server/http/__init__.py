"""Requests to CVAT's REST API: time limits, repeats, bodies of bounded size, and errors as sentences."""
