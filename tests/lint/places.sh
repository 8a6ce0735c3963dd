#!/usr/bin/env bash
# Nothing in the tree names the machine it was made on: no home directories, no
# hosts that packages are fetched from.
set -euo pipefail

bad=0
if git grep -nIE '(^|[^[:alnum:]._-])/(home|root|Users|wor[k])/[[:alnum:]]'; then
	echo "a path of somebody's own machine" >&2
	bad=1
fi
if git grep -nIE 'https?://[^/ "]*(registry|mirror|artifact|nexus|proxy)[^/ "]*\.' \
	-- '*lock*.json' '*.npmrc' '*.sh' .ci etc tests/interop GNUmakefile; then
	echo "a host that packages come from" >&2
	bad=1
fi
exit $bad
