"""What a run found: lines and a table for the terminal, a page, and JSON."""
