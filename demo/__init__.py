"""`make demo`: generated scenes through the three functions over HTTP, measured against the truth and drawn."""
