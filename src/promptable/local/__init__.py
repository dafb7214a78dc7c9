"""The functions without Docker: what Nuclio does for CVAT, on one machine, in plain processes."""
