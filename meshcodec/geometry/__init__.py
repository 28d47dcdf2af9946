"""Meshes in and out: reading, placing, sampling, inside and outside, surface extraction."""
