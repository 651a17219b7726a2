{{/* The proxy's whole configuration. HTTP/2 balances connections unless somebody balances calls: this does. */}}
{{- define "medserve.envoy" -}}
node: {id: {{ include "medserve.name" . }}, cluster: {{ include "medserve.name" . }}}
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
# What callers send lies in memory until it is answered: near the container's limit new calls are refused, not all lost.
overload_manager:
  refresh_interval: 0.25s
  resource_monitors:
    - name: envoy.resource_monitors.cgroup_memory
      typed_config: {"@type": type.googleapis.com/envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig}
    - name: envoy.resource_monitors.global_downstream_max_connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
        max_active_downstream_connections: 10000
  actions:
    - name: envoy.overload_actions.shrink_heap
      triggers: [{name: envoy.resource_monitors.cgroup_memory, threshold: {value: 0.8}}]
    - name: envoy.overload_actions.stop_accepting_requests
      triggers: [{name: envoy.resource_monitors.cgroup_memory, threshold: {value: 0.85}}]
static_resources:
  listeners:
    - name: calls
      address: {socket_address: {address: 0.0.0.0, port_value: 8001}}
      per_connection_buffer_limit_bytes: 1048576
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config: {{ include "medserve.envoy.calls" . | nindent 16 }}
          {{- if .Values.proxy.tls.secret }}
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_params: {tls_minimum_protocol_version: TLSv1_2}
                # Read again when the Secret changes: certificates are renewed while the proxy runs.
                tls_certificate_sds_secret_configs:
                  - name: calls
                    sds_config: {path_config_source: {path: /etc/envoy/certificate.yaml}}
          {{- end }}
    - name: health
      address: {socket_address: {address: 0.0.0.0, port_value: 8003}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: health
                http_filters:
                  - name: envoy.filters.http.health_check
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
                      pass_through_mode: false
                      headers: [{name: ":path", string_match: {exact: /ready}}]
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                route_config: {virtual_hosts: []}
  clusters: {{ include "medserve.envoy.clusters" . | nindent 4 }}
{{- end }}

{{- define "medserve.envoy.calls" -}}
"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
stat_prefix: calls
codec_type: AUTO
# Nobody outside is trusted with Envoy's own headers: x-envoy-retry-on would make a refusal a storm.
use_remote_address: true
internal_address_config: {cidr_ranges: [{address_prefix: 255.255.255.255, prefix_len: 32}]}  # nobody; no range: 10.0.0.0/8 and the like
normalize_path: true
merge_slashes: true
path_with_escaped_slashes_action: REJECT_REQUEST
stream_idle_timeout: {{ add .Values.proxy.timeoutSeconds 30 }}s
request_headers_timeout: 10s
request_timeout: {{ max 60 (int .Values.proxy.timeoutSeconds) }}s  # within which a request has arrived
common_http_protocol_options: {idle_timeout: 3600s, headers_with_underscores_action: REJECT_REQUEST}
http2_protocol_options:
  max_concurrent_streams: 1000
  initial_stream_window_size: 1048576
  initial_connection_window_size: 16777216
http_filters:
  # Triton 2.51 has no limit of its own, and would receive the whole of anything.
  - name: envoy.filters.http.buffer
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
      max_request_bytes: {{ mul .Values.proxy.requestMebibytes 1048576 }}
  - name: envoy.filters.http.router
    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
route_config:
  virtual_hosts:
    - name: calls
      domains: ["*"]
      routes: {{ include "medserve.envoy.routes" . | nindent 8 }}
{{- end }}

{{/* The certificate, in files whose folder Envoy watches. */}}
{{- define "medserve.envoy.certificate" -}}
resources:
  - "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: calls
    tls_certificate:
      certificate_chain: {filename: /tls/tls.crt}
      private_key: {filename: /tls/tls.key}
{{- end }}
