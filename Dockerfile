# The API for production. It brings no database: MEDIASTORE_DATABASE_URL names one. compose.yaml puts the parts together.

FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/mediastore
COPY requirements/server.lock requirements/server.lock
RUN /opt/mediastore/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/server.lock
COPY pyproject.toml README.md ./
COPY mediastore mediastore
COPY stores stores
RUN /opt/mediastore/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.12-slim
# /data is the user's own, so a named volume mounted there is too.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin mediastore \
    && install --directory --owner=mediastore --group=mediastore --mode=0700 /data
COPY --from=build /opt/mediastore /opt/mediastore
ENV PATH=/opt/mediastore/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MEDIASTORE_HOME=/data \
    MEDIASTORE_HOST=0.0.0.0 \
    MEDIASTORE_PORT=8000
USER mediastore
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['MEDIASTORE_PORT']}/health/live\", timeout=4)"]
CMD ["mediastore", "serve"]
