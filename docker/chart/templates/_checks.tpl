{{/* What no schema can say: values that contradict each other end here, with a sentence. */}}
{{- define "medserve.check" -}}
{{- $weights := 0 }}
{{- range $name, $class := .Values.classes }}
  {{- $weights = add $weights $class.weight }}
  {{- $repository := include "medserve.repository" (dict "root" $ "class" $class) | fromYaml }}
  {{- if not (or $repository.claim $repository.uri) }}
    {{- fail (printf "classes.%s: expected a repository.claim or a repository.uri, got neither" $name) }}
  {{- end }}
  {{- if $.Values.kserve.enabled }}
    {{- if hasPrefix "oci://" (default "" $repository.uri) }}
      {{- fail (printf "classes.%s.repository.uri: expected s3://… or a claim, got oci://…, which means an image to KServe" $name) }}
    {{- end }}
    {{- if and $class.gpu (hasKey $class.gpu "plans") }}
      {{- fail (printf "classes.%s.gpu.plans: expected none under KServe: build them before, into the repository" $name) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- if and .Values.proxy.enabled (not .Values.kserve.enabled) (not $weights) }}
  {{- fail "classes: expected one with a weight above 0: nobody would be sent a call" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.monitoring.enabled) }}
  {{- fail "autoscaling.enabled: expected monitoring.enabled too: what waits is read from Prometheus" }}
{{- end }}
{{- if and .Values.autoscaling.enabled .Values.kserve.enabled }}
  {{- fail "autoscaling.enabled: expected false under KServe, which has Deployments of its own" }}
{{- end }}
{{- if .Values.gateway.enabled }}
  {{- $gateway := .Values.gateway }}
  {{- if or (not .Values.proxy.enabled) .Values.kserve.enabled }}
    {{- fail "gateway.enabled: expected proxy.enabled without KServe: it asks the proxy" }}
  {{- end }}
  {{- if not (or $gateway.keys.secret (hasKey $gateway.environment "GATEWAY_OIDC_ISSUER")) }}
    {{- fail "gateway: expected keys.secret, or GATEWAY_OIDC_ISSUER in its environment, got neither: anybody could ask" }}
  {{- end }}
  {{- if not (or $gateway.audit.secret $gateway.audit.claim) }}
    {{- fail "gateway.audit: expected a secret with AUDIT_URL and AUDIT_KEY, or a claim for SQLite, got neither" }}
  {{- end }}
  {{- if and $gateway.audit.claim (gt (int $gateway.replicas) 1) }}
    {{- fail "gateway.replicas: expected 1 where the audit log is SQLite on a claim; several share a PostgreSQL" }}
  {{- end }}
  {{- if and .Values.monitoring.enabled (not $gateway.metrics.secret) }}
    {{- fail "gateway.metrics.secret: expected one with monitoring.enabled, got none: nobody would hear of drift" }}
  {{- end }}
  {{- if and $gateway.serverCa.secret (not .Values.proxy.tls.secret) }}
    {{- fail "gateway.serverCa.secret: expected proxy.tls.secret beside it, got none: nothing is encrypted" }}
  {{- end }}
{{- end }}
{{- end }}
