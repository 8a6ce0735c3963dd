#!/usr/bin/env bash
# Manual pages: well formed, and their settings are those of the code.
set -euo pipefail

mandoc -Tlint -Wwarning,stop etc/man/*.[58]
etc/man/settings --check

# Every other key of the file stands in the page and in the annotated example.
page=etc/man/oci-mcp-gateway.json.5
status=0
while read -r key; do
	grep -qwF -- "$key" "$page" ||
		{ echo "$page does not say what $key is" >&2; status=1; }
	grep -q "\"${key##*.}\"" etc/gateway.json ||
		{ echo "etc/gateway.json does not explain $key" >&2; status=1; }
done < <(sed -n '/^static const struct config_key keys/,$p' master/config_main.c |
	sed -nE 's/^\t(TEXT\(|LIST\(|CHOICE\(|CUSTOM\(|\{ )"([a-z_.]+)".*/\2/p')
exit $status
