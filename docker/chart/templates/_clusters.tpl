{{/* Of each class one cluster for each port, and one that falls back to the other classes. */}}
{{- define "medserve.envoy.clusters" -}}
{{- range $name, $class := .Values.classes }}
{{- range $port := list "grpc" "http" }}
- name: {{ $name }}-{{ $port }}
  cluster_type:
    name: envoy.cluster.dns
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
      dns_lookup_family: V4_ONLY  # Triton binds no other
      dns_refresh_rate: 2s
      respect_dns_ttl: false
  connect_timeout: 1s
  lb_policy: LEAST_REQUEST
  # Calls go to whom checks find well, be it one; to everybody only where they find nobody.
  common_lb_config: {healthy_panic_threshold: {value: 1}}
  # "Not ready" counts at once. Silence counts the second time: a server with too much to do may be late once.
  health_checks:
    - http_health_check: {path: /ready}
      timeout: 3s
      interval: 1s
      no_traffic_interval: 1s
      unhealthy_threshold: 2
      healthy_threshold: 1
  # Who breaks connections is left alone before a check says so. Who answers is not, whatever he answers: refusals of
  # one that is overloaded would push its calls onto the next.
  outlier_detection:
    split_external_local_origin_errors: true
    consecutive_local_origin_failure: 5
    enforcing_local_origin_success_rate: 0
    enforcing_consecutive_5xx: 0
    enforcing_consecutive_gateway_failure: 0
    enforcing_success_rate: 0
    base_ejection_time: 5s
    interval: 1s
    max_ejection_percent: 50
  circuit_breakers: {{ include "medserve.envoy.limits" $ | nindent 4 }}
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
              address: {socket_address: {address: {{ include "medserve.name" $ }}-{{ $name }}, port_value: {{ ternary 8001 8000 (eq $port "grpc") }}}}
              health_check_config: {port_value: 8003}
{{- with include "medserve.envoy.others" (dict "root" $ "name" $name) }}
{{- if $class.weight }}
- name: {{ $name }}-{{ $port }}-or-others
  connect_timeout: 1s
  lb_policy: CLUSTER_PROVIDED
  circuit_breakers: {{ include "medserve.envoy.limits" $ | nindent 4 }}
  cluster_type:
    name: envoy.clusters.aggregate
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig
      clusters:
        - {{ $name }}-{{ $port }}
        {{- range splitList " " . }}
        - {{ . }}-{{ $port }}
        {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* All calls that one server had may be asked again at once. */}}
{{- define "medserve.envoy.limits" -}}
thresholds: [{max_connections: 4096, max_requests: 4096, max_pending_requests: 4096, max_retries: 1024}]
{{- end }}
