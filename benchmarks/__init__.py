"""Speed as ratios against the plain upstream way in the same run, with the error against upstream beside each."""
