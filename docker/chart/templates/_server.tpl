{{/* The container that serves: {root, name, class, container, models}: its name, and the folder of its models. */}}
{{- define "medserve.server" -}}
{{- $values := .root.Values -}}
name: {{ .container }}
image: {{ include "medserve.image" (ternary $values.images.gpu $values.images.cpu (hasKey .class "gpu")) }}
imagePullPolicy: IfNotPresent
args: {{ concat (list "--repository" .models) (default list .class.arguments) | toJson }}
env:
  - {name: MODELS, value: {{ include "medserve.models" . | quote }}}
  - {name: PROFILE, value: {{ include "medserve.profile" . | quote }}}
  - {name: DRAIN_DELAY_S, value: {{ $values.drain.delaySeconds | quote }}}
  - {name: HOME, value: /tmp}
  {{- range $variable, $value := .class.environment }}
  - {name: {{ $variable }}, value: {{ $value | quote }}}
  {{- end }}
# gRPC's first: KServe sends calls to the first.
ports:
  - {name: {{ ternary "h2c" "grpc" $values.kserve.enabled }}, containerPort: 8001}
  - {name: http, containerPort: 8000}
  - {name: metrics, containerPort: 8002}
  - {name: health, containerPort: 8003}
# Each asks for what it is named after: every model READY, or Triton answering at all. A model that is not there keeps
# calls away; it restarts nothing. Draining is the launcher's: SIGTERM makes it unready first, and it answers on.
startupProbe:
  httpGet: {path: /ready, port: 8003}
  periodSeconds: 5
  failureThreshold: 144  # longer than the launcher waits itself, which then says what it waited for
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /ready, port: 8003}
  periodSeconds: 2
  failureThreshold: 2
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /live, port: 8003}
  periodSeconds: 10
  failureThreshold: 3
  timeoutSeconds: 10
resources: {{ include "medserve.resources" . | nindent 2 }}
securityContext: {{ include "medserve.confined" . | nindent 2 }}
{{- end }}

{{/* Where it writes: Triton's workers are copied and run below /var/lib/medserve, and talk through /dev/shm. */}}
{{- define "medserve.scratch.mounts" -}}
- {name: runtime, mountPath: /var/lib/medserve}
- {name: tmp, mountPath: /tmp}
- {name: shm, mountPath: /dev/shm}
{{- end }}

{{- define "medserve.scratch.volumes" -}}
- name: runtime
  emptyDir: {sizeLimit: {{ .root.Values.runtimeSpace }}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: shm
  emptyDir: {medium: Memory, sizeLimit: {{ default .root.Values.sharedMemory .class.sharedMemory }}}
{{- end }}

{{/* A class on GPUs names its profile: "auto" would serve on the CPU, and bill the GPU, where the driver does not answer. */}}
{{- define "medserve.profile" -}}
{{- if hasKey .class "profile" }}{{ .class.profile }}
{{- else if not (hasKey .class "gpu") }}auto
{{- else }}{{ ternary "tensorrt" "cuda" (hasKey .class.gpu "plans") }}
{{- end }}
{{- end }}
