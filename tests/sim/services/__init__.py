"""The services: each module fills its tables and answers its operations.

A module has fill(world), which may look at what the modules before it made,
and functions marked with @operation. A new one is added to MODULES.
"""

from services import (compute, containers, cost, database, governance,
                      identity, loadbalancing, logs, messaging, monitoring,
                      network, objectstorage, security)

MODULES = (identity, network, compute, database, objectstorage, loadbalancing,
           containers, messaging, monitoring, logs, security, cost, governance)


def fill(world):
    """Make the company; who is who for principals.Principals.adopt()."""
    who = {}
    for module in MODULES:
        who.update(module.fill(world) or {})
    return who
