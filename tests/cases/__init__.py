"""Small inputs that once failed, and what makes those that are large.

What lies here is synthetic: media files and, by `waves.write`, WAV files.
"""
