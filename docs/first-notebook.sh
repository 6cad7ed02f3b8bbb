#!/bin/bash
# From nothing to a table, cell by cell as in a notebook. Wanted: the server in MEDIASTORE_URL, a name in NAME, its password in
# PASSWORD, and files below ./cruise.
set -euo pipefail

# Users need the client alone; the server is an extra of the package.
python3 -m venv science
source science/bin/activate
pip install --quiet mediastore pandas

# At a terminal `mediastore login` asks for both. It keeps a key of this machine's own, and not the password.
printf '%s\n' "$NAME" "$PASSWORD" | mediastore login

mediastore put cruise --pid-pattern 'ar77/{path}' --tag ctd --metadata '{"cruise": "AR77"}'

python - <<'EOF'
import pandas
from mediastore.client.client import Client

with Client() as store:
    found = [media.pid for media in store.search(q="AR77", tags={"all": ["ctd"]}, sort="pid")]

for pid in found:
    table = pandas.read_csv(f"mediastore://{pid}")
    print(pid, len(table), table["depth"].max())
EOF
