"""Which settings had been better on the frames that people have reviewed, and how sure that is."""
