"""One function's new version: started, called, remembered, and replaced by the one before if it does not work."""
