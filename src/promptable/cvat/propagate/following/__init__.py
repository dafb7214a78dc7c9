"""Following objects from frame to frame: pictures fetched ahead, one request a frame, each step in the journal."""
