"""``promptable annotate``: words on every frame of a task, uploaded so that nothing is lost or doubled."""
