#!/usr/bin/env bash
# A folder includes itself and what stands to its left, nothing to its right;
# third-party headers stay in one adapter file each.
set -euo pipefail

# Everything a folder may include besides itself.
declare -A below=(
	[lib]=""
	[shm]="lib"
	[auth]="lib shm"
	[oci]="lib shm"
	[proxy]="lib shm auth oci"
	[worker]="lib shm auth oci proxy"
	[master]="lib shm auth oci proxy worker"
)
# Which files may include a library's headers. OpenSSL has two: keys and TLS.
adapters="jsmn.h lib/json.c
sodium.h lib/crypto.c
curl/ lib/fetch.c
openssl/ lib/keys.c
openssl/ lib/tls.c
seccomp.h lib/sandbox.c"

bad=0
complain() {
	echo "$1" >&2
	bad=1
}

while IFS=: read -r file line text; do
	header=$(sed -E 's/.*[<"](.*)[>"].*/\1/' <<<"$text")
	from=${file%%/*}
	to=${header%%/*}
	case $text in
	*'"'*)
		[ -e "$header" ] ||
			complain "$file:$line: no $header from the source root"
		[ "$from" = "$to" ] || [[ " ${below[$from]} " == *" $to "* ]] ||
			complain "$file:$line: $from/ must not know $to/"
		;;
	*)
		allowed=$(awk -v h="$header" 'index(h, $1) == 1 { print $2 }' \
			<<<"$adapters")
		[ -z "$allowed" ] || grep -qxF "$file" <<<"$allowed" ||
			complain "$file:$line: <$header> belongs to $allowed"
		;;
	esac
done < <(git grep -nE '^#[[:space:]]*include[[:space:]]+[<"]' -- \
	'lib/*.[ch]' 'shm/*.[ch]' 'auth/*.[ch]' 'oci/*.[ch]' 'proxy/*.[ch]' \
	'worker/*.[ch]' 'master/*.[ch]')
exit $bad
