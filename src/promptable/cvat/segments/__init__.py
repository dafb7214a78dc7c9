"""``promptable segments``: tags that were found frame by frame become ranges of frames."""
