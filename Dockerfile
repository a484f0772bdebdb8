FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --prefer-binary .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin limner \
    && install -d -o limner -g limner /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LIMNER_HOME=/data \
    LIMNER_HOST=0.0.0.0 \
    LIMNER_PORT=8003
USER limner
WORKDIR /data
VOLUME /data
EXPOSE 8003 50051
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8003/healthz', timeout=4)"]
# Nobody is asked who they are unless LIMNER_API_KEYS is set: publish the ports on 127.0.0.1 only until then.
CMD ["limner", "serve"]
