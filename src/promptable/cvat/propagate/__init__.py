"""``promptable propagate``: objects on one frame are followed through a video and become tracks in CVAT."""
