"""The mesh mode: a file holds a small mesh, or the control mesh of a Loop subdivision surface."""
