{{/* A server's pod, in a Deployment's template: {root, name, class}. */}}
{{- define "medserve.pod" -}}
{{- $values := .root.Values }}
{{- $repository := include "medserve.repository" . | fromYaml }}
{{- $with := merge (dict "repository" $repository) . }}
{{- $built := and .class.gpu (hasKey .class.gpu "plans") }}
{{- $models := ternary "/chosen/models" "/models" (not (empty $built)) }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "medserve.grace" .root }}
securityContext: {{ include "medserve.unprivileged" . | nindent 2 }}
{{- include "medserve.place" . }}
{{- if or $repository.uri $built }}
initContainers:
  {{- if $repository.uri }}
  - {{- include "medserve.fetch" $with | nindent 4 }}
  {{- end }}
  {{- if $built }}
  - {{- include "medserve.plans" $with | nindent 4 }}
  {{- end }}
{{- end }}
containers:
  - {{- include "medserve.server" (merge (dict "container" "server" "models" $models) .) | nindent 4 }}
    volumeMounts:
      - {{ include "medserve.models.mount" $with }}
      {{- if $built }}
      - {name: plans, mountPath: /plans, readOnly: true}
      - {name: chosen, mountPath: /chosen, readOnly: true}
      {{- end }}
      {{- include "medserve.scratch.mounts" . | nindent 6 }}
volumes: {{ include "medserve.repository.volumes" $with | nindent 2 }}
  {{- if $built }}
  - name: plans
    persistentVolumeClaim: {claimName: {{ .class.gpu.plans.claim }}}
  - name: chosen
    emptyDir: {sizeLimit: 1Mi}
  {{- end }}
  {{- include "medserve.scratch.volumes" . | nindent 2 }}
{{- end }}

{{/* Where a class's repository comes from: {repository}. */}}
{{- define "medserve.repository.volumes" -}}
- name: models
  {{- if .repository.uri }}
  emptyDir: {sizeLimit: {{ .repository.sizeLimit }}}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .repository.claim }}, readOnly: true}
  {{- end }}
{{- if and .repository.secret (hasPrefix "oci://" .repository.uri) }}
- name: registry
  secret: {secretName: {{ .repository.secret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* Where a class's pods may run, and how far apart: {root, name, class}. */}}
{{- define "medserve.place" -}}
{{- with .root.Values.serviceAccount }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .root.Values.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- if .class.gpu }}
{{- with .class.gpu.runtimeClass }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}
{{- with .class.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .class.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- include "medserve.apart" (dict "pods" (include "medserve.pods" .) "own" .class.affinity) }}
{{- end }}

{{/* Preferred, not required: two on one node are better than one. {pods: their labels, own: affinity of a class, which wins} */}}
{{- define "medserve.apart" }}
{{- if .own }}
affinity: {{ toYaml .own | nindent 2 }}
{{- else }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{ .pods | nindent 14 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ .pods | nindent 8 }}
{{- end }}
