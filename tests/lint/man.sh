#!/usr/bin/env bash
# Manual pages: well formed, and their settings are those of the code.
set -euo pipefail

mandoc -Tlint -Wwarning,stop etc/man/*.[58]
etc/man/settings --check
