"""The services: each module fills its tables and answers its operations.

A module has fill(world), which may look at what the modules before it made,
and functions marked with @operation. A new one is added to MODULES.
"""

from services import identity, network, compute

MODULES = (identity, network, compute)


def fill(world):
    """Make the company; who is who for principals.Principals.adopt()."""
    who = {}
    for module in MODULES:
        who.update(module.fill(world) or {})
    who.setdefault("function", {"id": "x", "compartmentId": "x"})
    who.setdefault("cluster", "x")
    return who
