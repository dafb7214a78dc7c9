"""A stand-in for CVAT's server: tasks, jobs and annotations in memory, for the demo, the tests and the benchmarks."""
