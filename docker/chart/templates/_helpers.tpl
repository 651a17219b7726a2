{{- define "medserve.labels" -}}
app.kubernetes.io/name: medserve
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "medserve.selector" -}}
app.kubernetes.io/name: medserve
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "medserve.image" -}}
{{ .repository }}{{ if .tag }}:{{ .tag }}{{ end }}{{ if .digest }}@{{ .digest }}{{ end }}
{{- end }}

{{/* The context of each container: Kubernetes' restricted policy, and no writable root. */}}
{{- define "medserve.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What a class says, over what the release says. */}}
{{- define "medserve.repository" -}}
{{- mergeOverwrite (deepCopy .root.Values.repository) (default dict .class.repository) | toYaml }}
{{- end }}

{{/* Seconds from SIGTERM to SIGKILL: balancers notice, requests end, and some for Triton itself. */}}
{{- define "medserve.grace" -}}
{{ add .Values.drain.delaySeconds .Values.drain.exitSeconds 10 }}
{{- end }}
