"""Where a person should look at what was followed: as lines, as a page, as issues in CVAT."""
