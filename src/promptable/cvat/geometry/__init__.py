"""The geometry of CVAT's shapes and tracks: masks, outlines, positions, and interpolation between keyframes."""
