{{/* What all objects of a release are called after. A class's own name follows, and 63 letters are the limit. */}}
{{- define "medserve.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "medserve.labels" -}}
app.kubernetes.io/name: medserve
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Selects pods of a component: {root, component}. */}}
{{- define "medserve.selector" -}}
app.kubernetes.io/name: medserve
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Selects the pods of a class: {root, name}. KServe labels its own. */}}
{{- define "medserve.pods" -}}
{{- if .root.Values.kserve.enabled -}}
serving.kserve.io/inferenceservice: {{ include "medserve.name" .root }}-{{ .name }}
{{- else -}}
{{ include "medserve.selector" (dict "root" .root "component" "server") }}
medserve/class: {{ .name }}
{{- end }}
{{- end }}

{{- define "medserve.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The context of each pod: Kubernetes' restricted policy. fsGroup: what is written there belongs to it. */}}
{{- define "medserve.unprivileged" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The context of each container: the same, and no writable root. */}}
{{- define "medserve.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Where a class has its models from: {root, class}. Its own place replaces the release's, wholly. */}}
{{- define "medserve.repository" -}}
{{- $own := .class.repository | default dict -}}
{{- $general := .root.Values.repository -}}
{{- if or $own.claim $own.uri -}}
{{ merge (deepCopy $own) (dict "sizeLimit" $general.sizeLimit) | toYaml }}
{{- else -}}
{{ $general | toYaml }}
{{- end }}
{{- end }}

{{/* Names that a class serves, separated by commas: {root, class}. */}}
{{- define "medserve.models" -}}
{{ join "," (default .root.Values.models .class.models) }}
{{- end }}

{{/* Requests and limits of a class's containers: {class}. */}}
{{- define "medserve.resources" -}}
requests: {{ toYaml .class.resources.requests | nindent 2 }}
limits:
  {{- toYaml .class.resources.limits | nindent 2 }}
  {{- with .class.gpu }}
  {{ .resource }}: {{ .count | quote }}
  {{- end }}
{{- end }}

{{/* Seconds from SIGTERM to SIGKILL: balancers notice, requests end, and some for Triton itself. */}}
{{- define "medserve.grace" -}}
{{ add .Values.drain.delaySeconds .Values.drain.exitSeconds 10 }}
{{- end }}
