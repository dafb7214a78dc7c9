"""What the three functions answer, recorded once and kept: a change of the code changes no answer unawares."""
