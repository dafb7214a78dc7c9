"""Suggesting settings that would have been better on the reviewed frames, with how sure that is."""
