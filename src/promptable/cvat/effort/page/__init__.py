"""The report as a page: one file that works without a server or a network, whose links open CVAT's editor."""
