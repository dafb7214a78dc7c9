"""``make bench``: every benchmark, one table and one JSON file each in out/bench/."""

from benchmarks import interactor

interactor.run()
