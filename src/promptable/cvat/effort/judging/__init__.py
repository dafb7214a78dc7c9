"""What became of what runs wrote: found again by id or place in what is there now, and compared."""
