"""The commands over a CVAT server."""
