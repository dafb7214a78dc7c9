"""What automatic labels were worth: what a run wrote against what people made of it, and what to set better."""
