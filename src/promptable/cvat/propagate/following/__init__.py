"""Objects go from frame to frame: pictures fetched ahead, one request a frame, steps in the journal."""
