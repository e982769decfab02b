"""How jobs run: process, signals, locks, GPUs, log, machine errors. No result depends on this package."""
