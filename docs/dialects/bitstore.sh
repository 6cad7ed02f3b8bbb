#!/bin/sh
# Push a file to a dataset as BitStore's clients do, by curl alone: ask for a form, send the file by it, ask for a URL, read it.
#
#   API=https://media.example.org/rawstore TOKEN=… ./bitstore.sh OWNER DATASET FILE [private]
set -eu
owner=$1 dataset=$2 file=$3 findability=${4:-published}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { python3 -c 'import json, sys; found = json.load(open(sys.argv[1]))
for name in sys.argv[2:]: found = found[name]
print(json.dumps(found) if isinstance(found, bool) else found)' "$@"; }

# 1. What is going to be sent: the length, and the MD5 in base64.
name=$(basename "$file")
length=$(wc -c < "$file" | tr -d ' ')
md5=$(python3 -c 'import base64, hashlib, sys
print(base64.b64encode(hashlib.md5(open(sys.argv[1], "rb").read()).digest()).decode())' "$file")
cat > "$work/asked.json" <<JSON
{"metadata": {"owner": "$owner", "dataset": "$dataset", "findability": "$findability"},
 "filedata": {"data/$name": {"length": $length, "md5": "$md5", "type": "text/csv", "name": "$name"}}}
JSON
curl -fsS "$API/authorize" -H "Auth-Token: $TOKEN" -H 'Content-Type: application/json' -d @"$work/asked.json" > "$work/answer.json"

# 2. Its fields, in their order, then the file, to its URL; unless the store has it.
url=$(field "$work/answer.json" filedata "data/$name" upload_url)
key=$(field "$work/answer.json" filedata "data/$name" upload_query key)
if [ "$(field "$work/answer.json" filedata "data/$name" exists)" = false ]; then
  python3 -c 'import json, sys
for name, value in json.load(open(sys.argv[1]))["filedata"][sys.argv[2]]["upload_query"].items():
    print("form-string = " + json.dumps(f"{name}={value}"))' "$work/answer.json" "data/$name" > "$work/form"
  curl -fsS -K "$work/form" -F "file=@$file" "$url"
  echo "sent $name"
else
  echo "there already $name"
fi

# 3. Where its files are, and a URL that this one can be read by.
curl -fsS "$API/info?jwt=$TOKEN" > "$work/info.json"
curl -fsS -G "$API/presign" --data-urlencode "jwt=$TOKEN" --data-urlencode "ownerid=$owner" \
  --data-urlencode "url=$url/$key" > "$work/presigned.json"
curl -fsSL "$(field "$work/presigned.json" url)" | cmp - "$file"
echo "read back $name"
