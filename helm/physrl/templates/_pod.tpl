{{/* The security context and pull secrets of every pod. Takes (dict "root" $ "component" name). */}}
{{- define "physrl.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
automountServiceAccountToken: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "physrl.podLabels" -}}
{{ include "physrl.selector" .root }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* Only mounted volumes are writable: /tmp and the home folder. */}}
{{- define "physrl.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* A tag can be pushed again, so nodes ask for it at every start; a digest cannot. */}}
{{- define "physrl.image" -}}
{{- with .Values.image }}
{{- if .digest }}
image: {{ printf "%s@%s" .repository .digest | quote }}
{{- else }}
image: {{ printf "%s:%s" .repository .tag | quote }}
{{- end }}
imagePullPolicy: {{ .pullPolicy | default (ternary "IfNotPresent" "Always" (not (empty .digest))) }}
{{- end }}
{{- end }}

{{/* Requests equal limits. Takes a dict with cpu, memory, ephemeralStorage and perhaps gpus and
extendedResources. */}}
{{- define "physrl.resources" -}}
requests:
  {{- include "physrl.amounts" . | nindent 2 }}
limits:
  {{- include "physrl.amounts" . | nindent 2 }}
{{- end }}

{{/* Whole numbers as text: the API server stores text, and server-side apply compares. */}}
{{- define "physrl.amounts" -}}
cpu: {{ .cpu | quote }}
memory: {{ .memory | quote }}
ephemeral-storage: {{ .ephemeralStorage | quote }}
{{- with .gpus }}
nvidia.com/gpu: {{ . | quote }}
{{- end }}
{{- range $name, $amount := .extendedResources }}
{{ $name }}: {{ $amount | quote }}
{{- end }}
{{- end }}

{{/* Resources of the pods that only talk to Ray: submitters, the test, the autoscaler. */}}
{{- define "physrl.smallResources" -}}
{{- include "physrl.resources" (dict "cpu" "500m" "memory" "1Gi" "ephemeralStorage" "1Gi") }}
{{- end }}

{{- define "physrl.scratchMounts" -}}
- name: tmp
  mountPath: /tmp
- name: home
  mountPath: /home/physrl
{{- end }}

{{/* Takes the size of both together, which the container's limit holds as well. */}}
{{- define "physrl.scratchVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ . | quote }}
- name: home
  emptyDir:
    sizeLimit: {{ . | quote }}
{{- end }}

{{/* S3 as boto3 reads it: address and region in clear, credentials from a Secret or a role. */}}
{{- define "physrl.storageEnvironment" -}}
{{- include "physrl.bucketEnvironment" (dict "storage" .Values.storage "secretName" .Values.storage.secretName) }}
{{- end }}

{{/* How a client reaches the bucket. Takes (dict "storage" values "secretName" name of the keys' Secret). */}}
{{- define "physrl.bucketEnvironment" -}}
{{- with .storage.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .storage.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .secretName }}
{{- $secret := . }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . | quote }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret | quote }}
      key: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The token of the standing cluster, for its clients. */}}
{{- define "physrl.tokenEnvironment" -}}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "physrl.tokenSecret" . | quote }}
      key: auth_token
{{- end }}
