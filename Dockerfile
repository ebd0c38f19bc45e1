# Queue Server with the drivers of all databases. Built and run as compose.yaml does, or on its own with one SQLite file:
#   docker build -t queue-server .
#   docker run -p 1337:1337 -v queue-server:/var/lib/queue-server -e QUEUE_SERVER_ADMIN_TOKEN=… queue-server
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/queue-server \
    && /opt/queue-server/bin/pip install --no-cache-dir --require-hashes -r requirements.txt -r requirements-build.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src ./src
RUN /opt/queue-server/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/queue-server queue-server
COPY --from=build /opt/queue-server /opt/queue-server
# Commands (exec) stay off: what they need would have to be in this image. Others reach the server, so it wants a token.
ENV PATH=/opt/queue-server/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    QUEUE_SERVER_HOST=0.0.0.0 \
    QUEUE_SERVER_PORT=1337 \
    QUEUE_SERVER_EXEC=off \
    QUEUE_SERVER_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/queue-server
VOLUME /var/lib/queue-server
EXPOSE 1337
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1337/healthz', timeout=2)"]
ENTRYPOINT ["queue-server"]
CMD ["serve"]
