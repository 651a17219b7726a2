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
{{- end }}
