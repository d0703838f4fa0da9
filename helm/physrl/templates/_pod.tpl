{{/* What every pod of this chart has. Takes (dict "root" $ "component" name). */}}
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
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "physrl.podLabels" -}}
{{ include "physrl.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Writable are only the mounted volumes: /tmp and the home folder. */}}
{{- define "physrl.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "physrl.image" -}}
image: {{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Request and limit are one. Takes a dict with cpu, memory and perhaps gpus. */}}
{{- define "physrl.resources" -}}
requests:
  {{- include "physrl.amounts" . | nindent 2 }}
limits:
  {{- include "physrl.amounts" . | nindent 2 }}
{{- end }}

{{- define "physrl.amounts" -}}
cpu: {{ .cpu | quote }}
memory: {{ .memory }}
{{- with .gpus }}
nvidia.com/gpu: {{ . }}
{{- end }}
{{- end }}

{{- define "physrl.scratchMounts" -}}
- name: tmp
  mountPath: /tmp
- name: home
  mountPath: /home/physrl
{{- end }}

{{- define "physrl.scratchVolumes" -}}
- name: tmp
  emptyDir: {}
- name: home
  emptyDir: {}
{{- end }}

{{/* S3 as boto3 reads it: address and region in clear, credentials from a Secret or a role. */}}
{{- define "physrl.storageEnvironment" -}}
{{- with .Values.storage.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.secretName }}
{{- $secret := . }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who may talk to the standing cluster: what the environment of its clients holds. */}}
{{- define "physrl.tokenEnvironment" -}}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "physrl.tokenSecret" . }}
      key: auth_token
{{- end }}
