{{/* What runs before a server does: {root, name, class, repository}. */}}

{{/* Fetches a repository into the volume `models`. What it is worth, the launcher's sha256 decide. */}}
{{- define "medserve.fetch" -}}
{{- $oci := hasPrefix "oci://" .repository.uri -}}
name: fetch
{{- if $oci }}
image: {{ include "medserve.image" .root.Values.images.oci }}
args:
  - pull
  - {{ trimPrefix "oci://" .repository.uri | quote }}
  - --output
  - /models
  {{- if .repository.secret }}
  - --registry-config
  - /registry/.dockerconfigjson
  {{- end }}
{{- else }}
image: {{ include "medserve.image" .root.Values.images.s3 }}
args: [copy, {{ printf ":s3:%s" (trimPrefix "s3://" .repository.uri) | quote }}, /models, --checksum]
{{- end }}
imagePullPolicy: IfNotPresent
env:
  - {name: HOME, value: /tmp}
{{- if and .repository.secret (not $oci) }}
envFrom:
  - secretRef: {name: {{ .repository.secret }}}
{{- end }}
resources:
  requests: {cpu: 250m, memory: 128Mi}
  limits: {cpu: "2", memory: 512Mi}
securityContext: {{ include "medserve.confined" . | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
  {{- if and .repository.secret $oci }}
  - {name: registry, mountPath: /registry, readOnly: true}
  {{- end }}
{{- end }}

{{/* Builds the plans of this node's GPU into the volume `plans`, unless they are there: in the server's own image. */}}
{{- define "medserve.plans" -}}
name: plans
image: {{ include "medserve.image" .root.Values.images.gpu }}
imagePullPolicy: IfNotPresent
command: [python3, -m, export]
args: [engines, --repository, /models, --into, {{ include "medserve.planned" . }}, --link, /chosen/models]
env:
  - {name: MODELS, value: {{ include "medserve.models" . | quote }}}
  - {name: HOME, value: /tmp}
resources: {{ include "medserve.resources" . | nindent 2 }}
securityContext: {{ include "medserve.confined" . | nindent 2 }}
volumeMounts:
  - {{ include "medserve.models.mount" . }}
  - {name: plans, mountPath: /plans}
  - {name: chosen, mountPath: /chosen}  # the copy of this pod: another version's pod may build at the same time
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* A folder for each class: classes may share a volume, and one's newest copy is not another's. */}}
{{- define "medserve.planned" -}}
/plans/{{ include "medserve.name" .root }}-{{ .name }}
{{- end }}

{{- define "medserve.models.mount" -}}
{name: models, mountPath: /models, readOnly: true{{ with .repository.subPath }}, subPath: {{ . | quote }}{{ end }}}
{{- end }}
