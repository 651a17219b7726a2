{{/* The proxy's whole configuration. HTTP/2 balances connections unless somebody balances calls: this does. */}}
{{- define "medserve.envoy" -}}
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
static_resources:
  listeners:
    - name: calls
      address: {socket_address: {address: 0.0.0.0, port_value: 8001}}
      per_connection_buffer_limit_bytes: 1048576
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: calls
                codec_type: AUTO
                stream_idle_timeout: 60s
                request_headers_timeout: 10s
                common_http_protocol_options: {idle_timeout: 3600s, headers_with_underscores_action: REJECT_REQUEST}
                http2_protocol_options:
                  max_concurrent_streams: 1000
                  initial_stream_window_size: 1048576
                  initial_connection_window_size: 16777216
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                route_config:
                  virtual_hosts:
                    - name: calls
                      domains: ["*"]
                      routes:
                        - match: {prefix: /, grpc: {}}
                          route: {{ include "medserve.route" (dict "root" . "port" "grpc") | nindent 28 }}
                        - match: {prefix: /v2/}
                          route: {{ include "medserve.route" (dict "root" . "port" "http") | nindent 28 }}
          {{- if .Values.proxy.tls.secret }}
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_params: {tls_minimum_protocol_version: TLSv1_2}
                tls_certificates:
                  - certificate_chain: {filename: /tls/tls.crt}
                    private_key: {filename: /tls/tls.key}
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
  clusters:
    {{- range $name, $class := .Values.classes }}
    {{- range $port := list "grpc" "http" }}
    - name: {{ $name }}-{{ $port }}
      type: STRICT_DNS
      dns_refresh_rate: 2s
      respect_dns_ttl: false
      connect_timeout: 1s
      lb_policy: LEAST_REQUEST
      # A server whose calls fail is left alone before its health check says so.
      outlier_detection: {consecutive_gateway_failure: 5, base_ejection_time: 5s, interval: 1s, max_ejection_percent: 50}
      health_checks:
        - timeout: 2s
          interval: 1s
          unhealthy_threshold: 1
          healthy_threshold: 1
          http_health_check: {path: /ready}
      circuit_breakers:
        thresholds: [{max_requests: 4096, max_pending_requests: 4096, max_retries: 64}]
      {{- if eq $port "grpc" }}
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config:
            http2_protocol_options:
              connection_keepalive: {interval: 2s, timeout: 2s}
      {{- end }}
      load_assignment:
        cluster_name: {{ $name }}-{{ $port }}
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address: {socket_address: {address: {{ $.Release.Name }}-{{ $name }}, port_value: {{ ternary 8001 8000 (eq $port "grpc") }}}}
                  health_check_config: {port_value: 8003}
    {{- end }}
    {{- end }}
{{- end }}

{{/* Where calls go: by the classes' weights, with copies to shadows. */}}
{{- define "medserve.route" -}}
timeout: {{ .root.Values.proxy.timeoutSeconds }}s
max_stream_duration: {grpc_timeout_header_max: {{ .root.Values.proxy.timeoutSeconds }}s}
# Only what no server can have answered, or what may be asked twice: a prediction may. A refusal is no reason: whoever
# refuses is overloaded, and so are the others.
retry_policy:
  retry_on: connect-failure,refused-stream,reset
  num_retries: 2
  retry_host_predicate:
    - name: envoy.retry_host_predicates.previous_hosts
      typed_config: {"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}
  host_selection_retry_max_attempts: 3
weighted_clusters:
  clusters:
    {{- range $name, $class := .root.Values.classes }}
    {{- if $class.weight }}
    - {name: {{ $name }}-{{ $.port }}, weight: {{ $class.weight }}}
    {{- end }}
    {{- end }}
{{- $shadowed := false }}
{{- range $name, $class := .root.Values.classes }}
{{- if $class.shadow }}
{{- if not $shadowed }}
request_mirror_policies:
{{- $shadowed = true }}
{{- end }}
  - cluster: {{ $name }}-{{ $.port }}
    runtime_fraction: {default_value: {numerator: {{ $class.shadow }}, denominator: HUNDRED}}
{{- end }}
{{- end }}
{{- end }}
