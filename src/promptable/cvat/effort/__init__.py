"""``promptable effort``: how much of what runs wrote people had to correct, and which settings would be better."""
