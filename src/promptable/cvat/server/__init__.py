"""One way to a CVAT server: who logs in, what it holds, and what it answers."""
