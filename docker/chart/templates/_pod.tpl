{{/* A server's pod, in a Deployment's template: {root, name, class}. */}}
{{- define "medserve.pod" -}}
{{- $repository := include "medserve.repository" . | fromYaml }}
{{- $values := .root.Values }}
{{- $built := and .class.gpu .class.gpu.plans }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "medserve.grace" .root }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $values.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .class.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .class.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{ include "medserve.selector" .root | nindent 14 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "medserve.selector" .root | nindent 8 }}
        medserve/class: {{ .name }}
{{- if or $repository.uri $built }}
initContainers:
  {{- if $repository.uri }}
  - {{- include "medserve.fetch" (dict "values" $values "repository" $repository) | nindent 4 }}
  {{- end }}
  {{- if $built }}
  - {{- include "medserve.plans" . | nindent 4 }}
  {{- end }}
{{- end }}
containers:
  - name: server
    image: {{ include "medserve.image" (ternary $values.images.gpu $values.images.cpu (not (empty .class.gpu))) }}
    imagePullPolicy: IfNotPresent
    {{- if $built }}
    args: [--repository, /plans/models]
    {{- end }}
    env:
      - {name: MODELS, value: {{ join "," (default $values.models .class.models) | quote }}}
      - {name: PROFILE, value: {{ default "auto" .class.profile | quote }}}
      - {name: DRAIN_DELAY_S, value: {{ $values.drain.delaySeconds | quote }}}
      {{- if .class.visibleDevices }}
      - {name: NVIDIA_VISIBLE_DEVICES, value: {{ .class.visibleDevices | quote }}}
      {{- end }}
    ports:
      - {name: http, containerPort: 8000}
      - {name: grpc, containerPort: 8001}
      - {name: metrics, containerPort: 8002}
      - {name: health, containerPort: 8003}
    # Each asks for what it is named after: every model READY, or Triton answering at all. A model that is not there
    # keeps calls away; it restarts nothing.
    startupProbe:
      httpGet: {path: /ready, port: health}
      periodSeconds: 5
      failureThreshold: 120
      timeoutSeconds: 5
    readinessProbe:
      httpGet: {path: /ready, port: health}
      periodSeconds: 2
      failureThreshold: 2
      timeoutSeconds: 5
    livenessProbe:
      httpGet: {path: /live, port: health}
      periodSeconds: 10
      failureThreshold: 3
      timeoutSeconds: 10
    resources:
      requests:
        {{- toYaml .class.resources.requests | nindent 8 }}
      limits:
        {{- toYaml .class.resources.limits | nindent 8 }}
        {{- with .class.gpu }}
        {{ .resource }}: {{ .count }}
        {{- end }}
    securityContext: {{ include "medserve.confined" . | nindent 6 }}
    volumeMounts:
      - {name: models, mountPath: /models, readOnly: true{{ with $repository.subPath }}, subPath: {{ . }}{{ end }}}
      {{- if $built }}
      - {name: work, mountPath: /plans, readOnly: true}
      {{- end }}
      - {name: runtime, mountPath: /run/medserve}
      - {name: tmp, mountPath: /tmp}
      - {name: shm, mountPath: /dev/shm}
volumes:
  - name: models
    {{- if $repository.uri }}
    emptyDir: {sizeLimit: {{ $repository.sizeLimit }}}
    {{- else }}
    persistentVolumeClaim: {claimName: {{ $repository.claim }}, readOnly: true}
    {{- end }}
  {{- if $built }}
  - name: work
    persistentVolumeClaim: {claimName: {{ .class.gpu.plans.claim }}}
  {{- end }}
  - name: runtime
    emptyDir: {sizeLimit: {{ $values.runtimeSpace }}}
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
  - name: shm
    emptyDir: {medium: Memory, sizeLimit: {{ $values.sharedMemory }}}
{{- end }}

{{/* Fetches a repository into the volume `models`. What it is worth, the launcher's sha256 decide. */}}
{{- define "medserve.fetch" -}}
name: fetch
{{- if hasPrefix "oci://" .repository.uri }}
image: {{ include "medserve.image" .values.images.oci }}
args: [pull, {{ trimPrefix "oci://" .repository.uri | quote }}, --output, /models]
{{- else }}
image: {{ include "medserve.image" .values.images.s3 }}
args: [copy, {{ printf ":s3:%s" (trimPrefix "s3://" .repository.uri) | quote }}, /models, --checksum]
{{- end }}
imagePullPolicy: IfNotPresent
env:
  - {name: HOME, value: /tmp}
{{- with .repository.secret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
resources:
  requests: {cpu: 250m, memory: 128Mi}
  limits: {memory: 512Mi}
securityContext: {{ include "medserve.confined" . | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Builds the plans of this node's GPU into the volume `work`, unless they are there. */}}
{{- define "medserve.plans" -}}
name: plans
image: {{ include "medserve.image" .root.Values.images.export }}
imagePullPolicy: IfNotPresent
args: [engines, --repository, /models, --into, /plans]
env:
  - {name: MODELS, value: {{ join "," (default .root.Values.models .class.models) | quote }}}
  - {name: HOME, value: /tmp}
resources:
  requests:
    {{- toYaml .class.resources.requests | nindent 4 }}
  limits:
    {{- toYaml .class.resources.limits | nindent 4 }}
    {{ .class.gpu.resource }}: {{ .class.gpu.count }}
securityContext: {{ include "medserve.confined" . | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /models, readOnly: true}
  - {name: work, mountPath: /plans}
  - {name: tmp, mountPath: /tmp}
{{- end }}
