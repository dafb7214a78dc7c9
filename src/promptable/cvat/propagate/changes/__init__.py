"""Deciding what a run writes into each job: the changes that make annotations of what was followed."""
