"""The laboratory: real Limner processes against stand-ins of the vendors, with faults, kills and clocks that
jump.

Stands outside the house like the simulator: nothing but the command that starts it and tests import it.
`run.experiment` is one run, `invariants` what must hold after each, `scenarios` the named ones.
"""
