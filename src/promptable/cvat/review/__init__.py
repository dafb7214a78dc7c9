"""What a run found, label by label, and the frames that people should look at first."""
