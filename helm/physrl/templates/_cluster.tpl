{{/* A Ray cluster's spec, the same for the one that stands and for those of jobs. */}}
{{- define "physrl.clusterSpec" -}}
rayVersion: {{ .Values.rayVersion | quote }}
authOptions:
  mode: token
  {{- with .Values.auth.secretName }}
  secretName: {{ . }}
  {{- end }}
enableInTreeAutoscaling: {{ .Values.autoscaling.enabled }}
{{- if .Values.autoscaling.enabled }}
autoscalerOptions:
  version: v2
  idleTimeoutSeconds: {{ .Values.autoscaling.idleTimeoutSeconds }}
  resources:
    {{- include "physrl.resources" (dict "cpu" "500m" "memory" "1Gi") | nindent 4 }}
  {{- include "physrl.containerSecurity" . | nindent 2 }}
  volumeMounts:
    {{- include "physrl.scratchMounts" . | nindent 4 }}
    # The autoscaler alone may talk to Kubernetes; jobs, which run beside it, may not.
    - name: kubernetes-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
{{- end }}
headGroupSpec:
  serviceType: ClusterIP
  rayStartParams:
    num-cpus: "0"
    dashboard-host: 0.0.0.0
  template:
    {{- include "physrl.rayPod" (dict "root" . "component" "head" "group" .Values.head) | nindent 4 }}
workerGroupSpecs:
  {{- range $name, $group := .Values.groups }}
  {{- if $group.maxReplicas }}
  - groupName: {{ $name }}
    replicas: {{ $group.replicas }}
    minReplicas: {{ $group.minReplicas }}
    maxReplicas: {{ $group.maxReplicas }}
    rayStartParams: {}
    template:
      {{- include "physrl.rayPod" (dict "root" $ "component" $name "group" $group) | nindent 6 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* A pod of a Ray node. Takes (dict "root" $ "component" name "group" values). */}}
{{- define "physrl.rayPod" -}}
{{- $values := .root.Values -}}
{{- $isHead := eq .component "head" -}}
metadata:
  labels:
    {{- include "physrl.podLabels" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "physrl.name" .root }}
  terminationGracePeriodSeconds: {{ $values.termination.gracePeriodSeconds }}
  {{- include "physrl.podSecurity" . | nindent 2 }}
  {{- with include "physrl.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: ray
      {{- include "physrl.image" .root | nindent 6 }}
      ports:
        - name: metrics
          containerPort: 8080
        {{- if $isHead }}
        - name: gcs-server
          containerPort: 6379
        - name: dashboard
          containerPort: 8265
        - name: as-metrics
          containerPort: 44217
        - name: dash-metrics
          containerPort: 44227
        {{- end }}
      env:
        {{- include "physrl.rayEnvironment" .root | nindent 8 }}
        {{- with and $isHead (include "physrl.dashboardEnvironment" .root | trim) }}
        {{- . | nindent 8 }}
        {{- end }}
      resources:
        {{- include "physrl.resources" .group | nindent 8 }}
      {{- include "physrl.containerSecurity" . | nindent 6 }}
      volumeMounts:
        {{- include "physrl.scratchMounts" . | nindent 8 }}
        - name: shared-memory
          mountPath: /dev/shm
        - name: configs
          mountPath: /etc/physrl
          readOnly: true
        {{- if $values.storage.claim.name }}
        - name: storage
          mountPath: /mnt/physrl
        {{- end }}
  volumes:
    {{- include "physrl.scratchVolumes" . | nindent 4 }}
    - name: shared-memory
      emptyDir:
        medium: Memory
        sizeLimit: {{ .group.sharedMemory }}
    - name: configs
      configMap:
        name: {{ include "physrl.name" .root }}-configs
    {{- with $values.storage.claim.name }}
    - name: storage
      persistentVolumeClaim:
        claimName: {{ . }}
    {{- end }}
    {{- if and $isHead $values.autoscaling.enabled }}
    - name: kubernetes-token
      projected:
        sources:
          - serviceAccountToken:
              path: token
              expirationSeconds: 3600
          - configMap:
              name: kube-root-ca.crt
              items:
                - key: ca.crt
                  path: ca.crt
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef:
                    fieldPath: metadata.namespace
    {{- end }}
{{- end }}

{{/* On which nodes. */}}
{{- define "physrl.placement" -}}
{{- with .group.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .group.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .group.spreadOver }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "physrl.podLabels" $ | nindent 8 }}
{{- end }}
{{- with .group.packInto }}
affinity:
  podAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: {{ . }}
          labelSelector:
            matchLabels:
              {{- include "physrl.podLabels" $ | nindent 14 }}
{{- end }}
{{- end }}

{{- define "physrl.rayEnvironment" -}}
- name: HOME
  value: /home/physrl
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
- name: RAY_JOB_STOP_WAIT_TIME_S
  value: {{ .Values.termination.stopSeconds | quote }}
{{- if .Values.storage.claim.name }}
- name: HF_HOME
  value: /mnt/physrl/huggingface
{{- end }}
{{- with .Values.huggingface.secretName }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: HF_TOKEN
{{- end }}
{{- include "physrl.storageEnvironment" . }}
{{- end }}

{{- define "physrl.dashboardEnvironment" -}}
{{- with .Values.monitoring.grafanaUrl }}
- name: RAY_GRAFANA_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.monitoring.prometheusUrl }}
- name: RAY_PROMETHEUS_HOST
  value: {{ . | quote }}
{{- end }}
{{- end }}
