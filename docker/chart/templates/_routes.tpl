{{/* Where calls go: by the classes' weights, with copies to shadows. */}}
{{- define "medserve.envoy.routes" -}}
# Nothing here streams, and a stream would wait for its end in the proxy.
- match: {path: /inference.GRPCInferenceService/ModelStreamInfer}
  direct_response: {status: 404}
- match: {prefix: /, grpc: {}}
  request_body_buffer_limit: {{ mul .Values.proxy.requestMebibytes 1048576 }}  # kept for another attempt
  route: {{ include "medserve.envoy.route" (dict "root" . "port" "grpc") | nindent 4 }}
- match: {path_separated_prefix: /v2}
  request_body_buffer_limit: {{ mul .Values.proxy.requestMebibytes 1048576 }}
  route: {{ include "medserve.envoy.route" (dict "root" . "port" "http") | nindent 4 }}
{{- end }}

{{/* To one of a class's two ports: {root, port}. */}}
{{- define "medserve.envoy.route" -}}
{{- $port := .port -}}
timeout: {{ .root.Values.proxy.timeoutSeconds }}s
max_stream_duration: {grpc_timeout_header_max: {{ .root.Values.proxy.timeoutSeconds }}s}
# Asked again is what no server has answered: a prediction may be asked twice. A refusal is an answer: whoever refuses is
# overloaded, and so are the others.
retry_policy:
  retry_on: connect-failure,refused-stream,reset
  num_retries: 2
  retry_host_predicate:
    - name: envoy.retry_host_predicates.previous_hosts
      typed_config: {"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}
  host_selection_retry_max_attempts: 3
  retry_priority:
    name: envoy.retry_priorities.previous_priorities
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig
      update_frequency: 1
weighted_clusters:
  clusters:
    {{- range $name, $class := .root.Values.classes }}
    {{- if $class.weight }}
    {{- $others := include "medserve.envoy.others" (dict "root" $.root "name" $name) }}
    - {name: {{ $name }}-{{ $port }}{{ if $others }}-or-others{{ end }}, weight: {{ $class.weight }}}
    {{- end }}
    {{- end }}
{{- $shadowed := false }}
{{- range $name, $class := .root.Values.classes }}
{{- if $class.shadow }}
{{- if not $shadowed }}
request_mirror_policies:
{{- $shadowed = true }}
{{- end }}
  - cluster: {{ $name }}-{{ $port }}
    runtime_fraction: {default_value: {numerator: {{ $class.shadow }}, denominator: HUNDRED}}
{{- end }}
{{- end }}
{{- end }}

{{/*
Classes that answer for one that has nobody: {root, name}. Those with a share of the calls and the release's own models:
a canary's calls fall back to what is established, never the other way round.
*/}}
{{- define "medserve.envoy.others" -}}
{{- $others := list }}
{{- range $name, $class := .root.Values.classes }}
{{- if and (ne $name $.name) $class.weight (not $class.repository) }}{{ $others = append $others $name }}{{ end }}
{{- end }}
{{- join " " $others }}
{{- end }}
