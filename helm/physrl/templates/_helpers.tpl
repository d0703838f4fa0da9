{{/* Labels of every object. */}}
{{- define "physrl.labels" -}}
{{ include "physrl.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels that all pods of a release share; KubeRay reserves app.kubernetes.io/name. */}}
{{- define "physrl.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: physrl
{{- end }}

{{/* The release's name is the cluster's, and so must be a DNS-1035 label. */}}
{{- define "physrl.name" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "release name '%s': KubeRay takes lower-case letters, digits and hyphens, a letter first; install under another name" .Release.Name) }}
{{- end }}
{{- .Release.Name }}
{{- end }}

{{/* The name of a RayJob: <release>-<job>. Takes (dict "root" $ "job" job). */}}
{{- define "physrl.jobName" -}}
{{- $name := printf "%s-%s" (include "physrl.name" .root) .job.name }}
{{- if gt (len $name) 47 }}
{{- fail (printf "jobs: the RayJob '%s' has %d characters and KubeRay takes 47: shorten the job's name or the release's" $name (len $name)) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The configuration of a job: a mounted file, or a file of the image. */}}
{{- define "physrl.configPath" -}}
{{- if hasKey .root.Values.configs .job.config -}}
/etc/physrl/{{ .job.config }}.yaml
{{- else if hasPrefix "jobs/configs/" .job.config -}}
{{ .job.config }}
{{- else -}}
{{- fail (printf "jobs: the config '%s' of job '%s' is neither in configs (%s) nor a file jobs/configs/*.yaml of the image" .job.config .job.name (keys .root.Values.configs | sortAlpha | join ", " | default "empty")) }}
{{- end -}}
{{- end }}

{{/* The command of a job. run_job.py keeps its log and decides whether KubeRay retries; a retry
continues from the last checkpoint. exec: a shell would die at the signal that stops the job, and
leave its process to Ray's process 1, which reaps none. Runs lie on the volume, and in the bucket where there is one. */}}
{{- define "physrl.entrypoint" -}}
{{- $url := .root.Values.storage.url -}}
{{- $prefix := ternary "base." "" (eq .job.verb "sweep") -}}
exec python /opt/physrl/run_job.py /mnt/physrl/logs python -m jobs.{{ .job.verb }} --config {{ include "physrl.configPath" . }}
{{- if has .job.verb (list "train" "sft") }} --resume{{ end }}
{{- with .job.policy }} --policy {{ squote . }}{{ end }}
{{- printf " '%soutput=/mnt/physrl/runs'" $prefix }}
{{- if and $url (ne .job.verb "evaluate") }} {{ squote (printf "%sstorage=%s" $prefix $url) }}{{ end }}
{{- if eq .job.verb "sweep" }} {{ squote (printf "store=%s/store" ($url | default "/mnt/physrl/runs")) }}{{ end }}
{{- range .job.overrides }} {{ squote . }}{{ end }}
{{- end }}

{{/* The Secret with Ray's token: one of your own for all clusters, or the one that KubeRay makes for
the standing cluster. */}}
{{- define "physrl.tokenSecret" -}}
{{ .Values.auth.secretName | default (include "physrl.name" .) }}
{{- end }}

{{/* The live object's spec as YAML; empty before it exists, and without a Kubernetes cluster. */}}
{{- define "physrl.liveSpec" -}}
{{- $live := lookup "ray.io/v1" .kind .root.Release.Namespace .name -}}
{{- with $live }}{{ dig "spec" dict . | toYaml }}{{ end -}}
{{- end }}

{{/* Whether an object is suspended. Kueue and people change this field of a live object; an upgrade
keeps what they set, so that server-side apply finds no conflict. Takes (dict "root" $ "kind" "name"
"initial"). */}}
{{- define "physrl.suspend" -}}
{{- $live := include "physrl.liveSpec" . | fromYaml -}}
{{- if $live }}{{ dig "suspend" false $live }}{{ else }}{{ .initial }}{{ end -}}
{{- end }}

{{/* Labels by which Kueue and Volcano select workloads. */}}
{{- define "physrl.queueLabels" -}}
{{- with .Values.kueue.queue }}
kueue.x-k8s.io/queue-name: {{ . | quote }}
{{- end }}
{{- with .Values.volcano.queue }}
volcano.sh/queue-name: {{ . | quote }}
{{- end }}
{{- end }}
