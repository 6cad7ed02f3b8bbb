#!/usr/bin/env bash
# A whole session with EDI staging, by plain curl: upload a file, wait until it is stored, compare its checksums, fetch it back, delete it.
#
#   staging.sh FILE [LABEL]
#
# BASE is where the dialect begins, such as http://localhost:8000/staging. CREDENTIAL is "token=..." or "key=...".
set -euo pipefail

FILE=$1 LABEL=${2:-}
BACK=$(mktemp)
trap 'rm -f "$BACK"' EXIT

# The credential comes by a file that curl reads, for the list of processes shows everybody what stands in a command.
call() { curl -sS --fail-with-body -K <(printf 'url-query = "%s"\n' "$CREDENTIAL") "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

REPORT=$(call "$BASE/upload" -F "file=@$FILE" -F "label=$LABEL")
ID=$(field id <<< "$REPORT")
echo "uploaded as $ID"

until [ "$(field status <<< "$REPORT")" != pending ]; do
  sleep 2
  REPORT=$(call "$BASE/upload/$ID")
done
if [ "$(field status <<< "$REPORT")" = failure ]; then
  echo "failed: $(field reason <<< "$REPORT")" >&2
  exit 1
fi

[ "$(field sha1 <<< "$REPORT")" = "$(sha1sum < "$FILE" | cut -d ' ' -f 1)" ]
[ "$(field md5 <<< "$REPORT")" = "$(md5sum < "$FILE" | cut -d ' ' -f 1)" ]
echo "SHA-1 $(field sha1 <<< "$REPORT"), MD5 $(field md5 <<< "$REPORT"): right; kept until $(field expires_at <<< "$REPORT")"

# Not by --location, which would hand the credential on: the redirection is asked for, then followed without it.
curl -sS --fail-with-body -o "$BACK" "$(call "$BASE/upload/$ID/data" -o /dev/null -w '%{redirect_url}')"
cmp "$FILE" "$BACK"
echo "fetched back: the same"

call "$BASE/upload" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)), "of yours in all")'
call -X DELETE "$BASE/upload/$ID"
echo "deleted"
