"""``promptable stats``: what a task, project or job contains, and what in it looks wrong. It only reads."""
