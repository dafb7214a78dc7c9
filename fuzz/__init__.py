"""``make fuzz``: mutated pictures, requests, tracker states and label files, which may be refused but do no harm."""
