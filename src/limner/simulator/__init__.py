"""Stand-ins of the image vendors on this machine: their wire shapes, a bill, and faults on demand.

Stands outside the house: it knows none of Limner but `core`, and nothing but the command that starts it and
tests import it. `app.Simulator` is the whole of it; one file per vendor says what that vendor's API is like.
"""
