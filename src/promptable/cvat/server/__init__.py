"""Access to a CVAT server for all commands: login, frames, annotations, issues, and errors as sentences."""
