#!/usr/bin/env bash
# Upload a file in parts, by plain curl, to any kind of store; run it again to go on where it stopped.
#
#   upload.sh FILE PID STORE             send what is missing, then complete
#   upload.sh FILE PID STORE NUMBER...   send these parts, be it again, and stop there
#
# API is the server's API, such as http://localhost:8000/api/v1. AUTH is the header "Authorization: Bearer ...", and is
# needed to begin only: from then on the upload's own token is enough, for as many days as it takes.
set -euo pipefail

FILE=$1 PID=$2 STORE=$3
shift 3
STATE=$FILE.$STORE.upload
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

call() { curl -sS --fail-with-body --retry 8 --retry-connrefused "$@"; }
json() { python3 -c "import json, sys; answer = json.load(sys.stdin); $1"; }

if [ ! -s "$STATE" ]; then
  SHA256=$(sha256sum "$FILE" | cut -d ' ' -f 1)
  call "$API/uploads" -H "$AUTH" --json "{\"pid\": \"$PID\", \"store\": \"$STORE\", \"size\": $(stat -c %s "$FILE"),
    \"filename\": \"$(basename "$FILE")\", \"method\": \"multipart\", \"checksums\": {\"sha256\": \"$SHA256\"}}" \
    | json 'print(answer["id"], answer["token"])' > "$STATE"
fi
read -r ID TOKEN < "$STATE"
UPLOAD=$API/uploads/$ID

# Fresh URLs: of the parts that were named, or of all that are missing.
if [ $# -gt 0 ]; then
  NUMBERS=$(printf ', {"number": %s}' "$@")
  call "$UPLOAD/parts?token=$TOKEN" --json "{\"parts\": [${NUMBERS#, }]}" > "$WORK/upload"
else
  call "$UPLOAD?token=$TOKEN" > "$WORK/upload"
fi

# A line for each part that has a URL: number, offset, size, URL. Its headers go to a file that curl reads.
WORK=$WORK json '
import os
for part in answer["parts"]:
    if part["url"]:
        with open(os.environ["WORK"] + "/headers-%d" % part["number"], "w") as headers:
            headers.writelines(f"{name}: {value}\n" for name, value in part["headers"].items())
        print(part["number"], part["offset"], part["size"], part["url"])
' < "$WORK/upload" > "$WORK/parts"

while read -r NUMBER OFFSET SIZE URL; do
  dd if="$FILE" of="$WORK/part" bs=1M iflag=skip_bytes,count_bytes skip="$OFFSET" count="$SIZE" status=none
  call -o /dev/null -X PUT "$URL" -H "Content-Type:" -H @"$WORK/headers-$NUMBER" --data-binary @"$WORK/part"
  echo "part $NUMBER: $SIZE bytes"
done < "$WORK/parts"

if [ $# -eq 0 ]; then
  # 202: a job verifies the bytes. 200: they are the record's content.
  until [ "$(call -X POST "$UPLOAD/complete?token=$TOKEN" -o "$WORK/record" -w '%{http_code}')" = 200 ]; do sleep 1; done
  json 'print(answer["status"], answer["pid"], answer["content"]["checksums"]["sha256"]["value"])' < "$WORK/record"
  rm "$STATE"
fi
