"""Shapes and tracks as CVAT means them: run lengths, outlines, positions, and what it shows between keyframes."""
