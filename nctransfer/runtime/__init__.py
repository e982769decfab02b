"""How jobs run: process, signals, locks, GPUs, log, machine errors. Nothing here may change a result."""
