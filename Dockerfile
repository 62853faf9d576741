# The server, from binaries that ./script/server --build-only made on this system:
#
#   ./script/server --build-only && docker build -t fedchatd .
#
# The Swift libraries are linked in; only the C libraries are installed here. The root may be read-only: what is written
# goes to /data, which the user owns. The targets proxy and turn are for docker-compose.yml.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS base
RUN groupadd --gid 10008 fedchat \
    && useradd --uid 10008 --gid 10008 --home-dir /data --shell /usr/sbin/nologin fedchat \
    && install -d -o fedchat -g fedchat -m 0700 /data

# nginx in front of a server: TLS outside, plain HTTP inside. SERVER_NAME and UPSTREAM (HOST:PORT) come from the environment.
FROM base AS proxy
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl nginx-light \
    && rm -rf /var/lib/apt/lists/*
RUN printf '%s\n' \
    'daemon off; pid /tmp/nginx.pid; error_log stderr warn;' \
    'events { worker_connections 4096; }' \
    'http {' \
    '    access_log off; server_tokens off; client_max_body_size 110m; proxy_request_buffering off; proxy_buffering off;' \
    '    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;' \
    '    server {' \
    '        listen 443 ssl http2; listen 8448 ssl http2; server_name SERVER_NAME;' \
    '        ssl_certificate /certificates/SERVER_NAME.pem; ssl_certificate_key /certificates/SERVER_NAME.key;' \
    '        ssl_protocols TLSv1.2 TLSv1.3;' \
    '        # Asked again and again: a container that starts anew may have another address.' \
    '        resolver 127.0.0.11 valid=5s; set $upstream UPSTREAM;' \
    '        location / {' \
    '            proxy_pass http://$upstream; proxy_http_version 1.1; proxy_read_timeout 150s;' \
    '            proxy_set_header Host $http_host; proxy_set_header Connection "";' \
    '            proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https;' \
    '        }' \
    '    }' \
    '}' > /etc/nginx/template
USER fedchat
EXPOSE 443 8448
STOPSIGNAL SIGQUIT
CMD ["sh", "-c", "sed \"s/SERVER_NAME/$SERVER_NAME/g; s/UPSTREAM/$UPSTREAM/g\" /etc/nginx/template > /tmp/nginx.conf && exec nginx -c /tmp/nginx.conf"]

FROM base AS turn
RUN apt-get update \
    && apt-get install -y --no-install-recommends coturn \
    && rm -rf /var/lib/apt/lists/*
USER fedchat
EXPOSE 3478/udp
ENTRYPOINT ["turnserver", "-n", "--log-file=stdout", "--pidfile=/tmp/turn.pid", "--userdb=/tmp/turn.db", "--use-auth-secret", "--no-cli", "--no-tls", "--no-dtls"]

FROM base AS server
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl libcrypt1 libcurl4 libpq5 libqrencode4 libsodium23 libsqlite3-0 libssl3 libvips-tools openssl \
    && rm -rf /var/lib/apt/lists/*
COPY .build/image/fedchatd .build/image/fedchat /usr/local/bin/
USER fedchat
WORKDIR /data
VOLUME /data
EXPOSE 8008 8448
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=6 \
    CMD ["curl", "--silent", "--fail", "--output", "/dev/null", "http://127.0.0.1:8008/ready"]
ENTRYPOINT ["fedchatd"]
CMD ["serve", "--config", "/data/fedchatd.yaml"]
