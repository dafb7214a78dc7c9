"""``promptable stats``: what a task, project or job holds, and what of it looks wrong. It only reads."""
