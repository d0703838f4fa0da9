{{/* A Ray cluster's spec, the same for the standing one and for those of jobs. Takes
(dict "root" $ "live" spec of the live object). */}}
{{- define "physrl.clusterSpec" -}}
{{- $root := .root }}
{{- $live := .live }}
{{- $values := .root.Values }}
rayVersion: {{ $values.rayVersion | quote }}
authOptions:
  mode: token
  {{- with $values.auth.secretName }}
  secretName: {{ . | quote }}
  {{- end }}
enableInTreeAutoscaling: {{ $values.autoscaling.enabled }}
{{- if $values.autoscaling.enabled }}
autoscalerOptions:
  version: v2
  idleTimeoutSeconds: {{ $values.autoscaling.idleTimeoutSeconds }}
  resources:
    {{- include "physrl.smallResources" . | nindent 4 }}
  {{- include "physrl.containerSecurity" . | nindent 2 }}
  env:
    - name: HOME
      value: /home/physrl
  volumeMounts:
    # Nothing that a job can write is mounted beside the token.
    - name: autoscaler-tmp
      mountPath: /tmp
    - name: autoscaler-home
      mountPath: /home/physrl
    - name: kubernetes-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
{{- end }}
headGroupSpec:
  serviceType: ClusterIP
  rayStartParams:
    num-cpus: "0"
    num-gpus: "0"
    dashboard-host: 0.0.0.0
    # Names of the groups, also of those without a node yet: without cores, the head gets no work.
    resources: {{ include "physrl.groupResources" $values.groups | quote }}
  template:
    {{- include "physrl.rayPod" (dict "root" $root "component" "head" "group" $values.head) | nindent 4 }}
workerGroupSpecs:
  {{- range $name, $group := $values.groups }}
  {{- if $group.maxReplicas }}
  - groupName: {{ $name | quote }}
    replicas: {{ include "physrl.replicas" (dict "live" $live "name" $name "group" $group "scaled" $values.autoscaling.enabled) }}
    minReplicas: {{ $group.minReplicas }}
    maxReplicas: {{ $group.maxReplicas }}
    rayStartParams:
      # Ray would count the node's GPUs, also those that the pod was not given.
      num-gpus: {{ $group.gpus | quote }}
      # By which a run's servers, ranks and workers find their nodes.
      resources: {{ include "physrl.groupResources" (dict $name $group) | quote }}
    template:
      {{- include "physrl.rayPod" (dict "root" $root "component" $name "group" $group) | nindent 6 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* Custom resources of groups, as the argument of a shell's `ray start`. */}}
{{- define "physrl.groupResources" -}}
{{- $amounts := dict }}
{{- range $name, $group := . }}
{{- if $group.maxReplicas }}{{ $_ := set $amounts (printf "%s_group" $name) 1 }}{{ end }}
{{- end }}
{{- toJson $amounts | quote }}
{{- end }}

{{/* Replicas of a group; those of a live cluster belong to the autoscaler. */}}
{{- define "physrl.replicas" -}}
{{- $replicas := .group.replicas }}
{{- if .scaled }}
{{- range dig "workerGroupSpecs" list .live }}
{{- if eq .groupName $.name }}{{ $replicas = max (min (int .replicas) (int $.group.maxReplicas)) (int $.group.minReplicas) }}{{ end }}
{{- end }}
{{- end }}
{{- $replicas }}
{{- end }}

{{/* The pod of a Ray node. Takes (dict "root" $ "component" name "group" values). */}}
{{- define "physrl.rayPod" -}}
{{- $values := .root.Values -}}
{{- $isHead := eq .component "head" -}}
metadata:
  labels:
    {{- include "physrl.podLabels" . | nindent 4 }}
  {{- with merge (dict) .group.annotations $values.pod.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "physrl.name" .root | quote }}
  terminationGracePeriodSeconds: {{ $values.termination.gracePeriodSeconds }}
  {{- with $values.pod.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .group.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
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
        {{- include "physrl.rayEnvironment" . | nindent 8 }}
      lifecycle:
        preStop:
          exec:
            # Ray does not hand SIGTERM on to jobs.
            command: [python, /opt/physrl/stop_jobs.py, {{ ternary "head" "worker" $isHead }}, {{ $values.termination.stopSeconds | quote }}]
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
        {{- with $values.pod.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "physrl.rayVolumes" . | nindent 4 }}
{{- end }}

{{- define "physrl.rayVolumes" -}}
{{- $values := .root.Values -}}
{{ include "physrl.scratchVolumes" .group.ephemeralStorage }}
- name: shared-memory
  emptyDir:
    medium: Memory
    sizeLimit: {{ .group.sharedMemory | quote }}
- name: configs
  configMap:
    name: {{ include "physrl.name" .root }}-configs
{{- with $values.storage.claim.name }}
- name: storage
  persistentVolumeClaim:
    claimName: {{ . | quote }}
{{- end }}
{{- with $values.pod.volumes }}
{{ toYaml . }}
{{- end }}
{{- if and (eq .component "head") $values.autoscaling.enabled }}
- name: autoscaler-tmp
  emptyDir:
    sizeLimit: 1Gi
- name: autoscaler-home
  emptyDir:
    sizeLimit: 1Gi
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

{{/* The nodes that a pod may run on. */}}
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
    topologyKey: {{ . | quote }}
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
          topologyKey: {{ . | quote }}
          labelSelector:
            matchLabels:
              {{- include "physrl.podLabels" $ | nindent 14 }}
{{- end }}
{{- end }}

{{- define "physrl.rayEnvironment" -}}
{{- $values := .root.Values -}}
- name: HOME
  value: /home/physrl
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
- name: RAY_JOB_STOP_WAIT_TIME_S
  value: {{ $values.termination.stopSeconds | quote }}
{{- if not .group.gpus }}
# Where NVIDIA's is the default runtime it would show all GPUs of the node.
- name: NVIDIA_VISIBLE_DEVICES
  value: void
{{- end }}
{{- if $values.storage.claim.name }}
- name: HF_HOME
  value: /mnt/physrl/huggingface
{{- end }}
{{- with $values.huggingface.secretName }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: HF_TOKEN
{{- end }}
{{- include "physrl.storageEnvironment" .root }}
{{- if eq .component "head" }}
{{- include "physrl.dashboardEnvironment" .root }}
{{- end }}
{{- with concat $values.pod.env (.group.env | default list) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "physrl.dashboardEnvironment" -}}
{{- with .Values.monitoring.grafanaUrl }}
- name: RAY_GRAFANA_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.monitoring.grafanaBrowserUrl }}
- name: RAY_GRAFANA_IFRAME_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.monitoring.prometheusUrl }}
- name: RAY_PROMETHEUS_HOST
  value: {{ . | quote }}
{{- end }}
{{- end }}
