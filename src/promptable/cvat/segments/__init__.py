"""``promptable segments``: what a tag says frame by frame becomes ranges of frames."""
