"""Configuration files of the services, written at each start."""

import json
import time
from string import Template
from typing import Final

from tests.sandbox import credentials
from tests.sandbox.hosts import HOSTS
from tests.sandbox.state import State

#: Only an engine that can write to what it keeps answers this; something new each time.
TRIAL: Final = Template('{ directory { withNewFile(path: "started", contents: "$now") { entries } } }')
#: The space that the engine keeps: more is thrown away, oldest first.
ENGINE_SPACE: Final = "40GB"

NGINX: Final = Template("""\
daemon off;
# One process: its end is the end of the service.
master_process off;
pid /run/nginx-$name.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log $log/$name.access.log;
    default_type application/octet-stream;
    client_body_temp_path /tmp/$name-body;
    proxy_temp_path /tmp/$name-proxy;
    fastcgi_temp_path /tmp/$name-fastcgi;
    uwsgi_temp_path /tmp/$name-uwsgi;
    scgi_temp_path /tmp/$name-scgi;
    sendfile on;
    server {
        listen $address:443 ssl;
$direct
        server_name $name;
        ssl_certificate $secrets/$name.crt;
        ssl_certificate_key $secrets/$name.key;
        client_max_body_size 0;
$locations
    }
}
""")

DIRECT: Final = Template("        listen 127.0.0.1:$port ssl;")

FILES: Final = Template("""\
        root /srv/$name;
""")

#: Files for those only who know the password: as a user's, or as a bearer token.
PRIVATE_FILES: Final = Template("""\
        root /srv/$name;
        # Of an index of PyPI packages clients take no other.
        types { text/html html; }
        location / {
            auth_basic "$name";
            auth_basic_user_file $config/$name.htpasswd;
        }
        location /token/ {
            if ($$http_authorization != "Bearer $password") {
                return 401;
            }
        }
""")

#: Anybody may pull what is not private, as a repository is whose last name begins so. The version check asks for a
#: password, since clients learn from it that there are any.
IMAGES: Final = Template("""\
        proxy_pass_request_headers on;
        # With the port that was asked for: registries name the next address of an upload by it.
        proxy_set_header Host $$http_host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_read_timeout 900s;
        location = /v2/ {
            auth_basic "$name";
            auth_basic_user_file $config/$name.htpasswd;
            proxy_pass http://127.0.0.1:$port;
        }
        location ~ ^/v2/[^/]+/private- {
            auth_basic "$name";
            auth_basic_user_file $config/$name.htpasswd;
            proxy_pass http://127.0.0.1:$port;
        }
        location /v2/ {
            limit_except GET {
                auth_basic "$name";
                auth_basic_user_file $config/$name.htpasswd;
            }
            proxy_pass http://127.0.0.1:$port;
        }
""")

STORAGE: Final = Template("""\
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $folder}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: 127.0.0.1:$port
  secret: $secret
""")


def write(state: State) -> None:
    """Write the services' configuration files, and who may push and read what is private."""
    found = credentials.ensure(state.secrets)
    (state.config / "engine.json").write_text(
        json.dumps({"logLevel": "info", "gc": {"enabled": True, "maxUsedSpace": ENGINE_SPACE, "minFreeSpace": "10GB"}})
    )
    (state.config / "trial.graphql").write_text(TRIAL.substitute(now=time.time_ns()))
    for host in HOSTS:
        values = {
            "name": host.name,
            "address": host.address,
            "port": host.storage_port,
            "config": state.config,
            "secrets": state.secrets,
            "log": state.log,
            "password": found[host.name].password if host.asks else "",
        }
        kind = IMAGES if host.is_registry else PRIVATE_FILES if host.asks else FILES
        direct = DIRECT.substitute(port=host.direct_port) if host.is_registry else ""
        front = NGINX.substitute(values, locations=kind.substitute(values), direct=direct)
        credentials.write_private(state.config / f"{host.name}.conf", front)
        if host.asks:
            credentials.write_private(state.config / f"{host.name}.htpasswd", credentials.password_file(host, found))
        if not host.is_registry:
            continue
        # The other kind of registry takes all from its command line.
        if not host.lists_referrers:
            storage = STORAGE.substitute(
                folder=state.registry / host.name, port=host.storage_port, secret=found[host.name].password
            )
            credentials.write_private(state.config / f"{host.storage_name}.yml", storage)
    credentials.write_private(state.secrets / "auth.json", credentials.docker_config(found))
