#!/usr/bin/env bash
# A stem names one module in the whole tree, include guards and tests follow.
set -euo pipefail

bad=0
complain() {
	echo "$1" >&2
	bad=1
}

for list in '\.c$' '\.h$' '\.(py|mjs|sh|def)$'; do
	twice=$(git ls-files | grep -E "$list" | sed 's|.*/||' | sort | uniq -d)
	[ -z "$twice" ] || complain "more than one file is called: $twice"
done
while read -r file; do
	guard=$(tr 'a-z/.-' 'A-Z___' <<<"$file")
	grep -qx "#ifndef $guard" "$file" ||
		complain "$file: the include guard is not $guard"
done < <(git ls-files '*.h' | grep -v ^tests/)
while read -r file; do
	stem=${file##*/test_}
	ls ./*/"${stem%.c}".[ch] >/dev/null 2>&1 ||
		complain "$file: there is no module ${stem%.c}"
done < <(git ls-files 'tests/unit/test_*.c')
exit $bad
