"""The machine: devices, memory, threads, processes, files, clocks."""
