{{/* Labels of every object. */}}
{{- define "physrl.labels" -}}
{{ include "physrl.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What all pods of a release have in common; KubeRay keeps app.kubernetes.io/name to itself. */}}
{{- define "physrl.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: physrl
{{- end }}

{{/* The release's name names the cluster, and so must be a DNS-1035 label. */}}
{{- define "physrl.name" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "release name '%s': KubeRay takes lower-case letters, digits and hyphens, a letter first; install under another name" .Release.Name) }}
{{- end }}
{{- .Release.Name }}
{{- end }}

{{/* A RayJob's name: <release>-<job>. Takes (dict "root" $ "job" job). */}}
{{- define "physrl.jobName" -}}
{{- $name := printf "%s-%s" (include "physrl.name" .root) .job.name }}
{{- if gt (len $name) 47 }}
{{- fail (printf "jobs: the RayJob '%s' has %d characters and KubeRay takes 47: shorten the job's name or the release's" $name (len $name)) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* Where a job finds its configuration: mounted, or a file of the image. */}}
{{- define "physrl.configPath" -}}
{{- if hasKey .root.Values.configs .job.config -}}
/etc/physrl/{{ .job.config }}.yaml
{{- else if hasPrefix "jobs/configs/" .job.config -}}
{{ .job.config }}
{{- else -}}
{{- fail (printf "jobs: the config '%s' of job '%s' is neither in configs (%s) nor a file jobs/configs/*.yaml of the image" .job.config .job.name (keys .root.Values.configs | sortAlpha | join ", " | default "empty")) }}
{{- end -}}
{{- end }}

{{/* The command of a job: a retry continues from the last checkpoint, runs lie on the volume. */}}
{{- define "physrl.entrypoint" -}}
{{- $url := .root.Values.storage.url -}}
python -m jobs.{{ .job.verb }} --config {{ include "physrl.configPath" . }}
{{- if has .job.verb (list "train" "sft") }} --resume{{ end }}
{{- with .job.policy }} --policy {{ squote . }}{{ end }}
{{- if eq .job.verb "sweep" }} {{ squote (printf "store=%s/store" ($url | default "/mnt/physrl/runs")) }}
{{- else }} 'output=/mnt/physrl/runs'{{ end }}
{{- if and $url (has .job.verb (list "train" "sft")) }} {{ squote (printf "storage=%s" $url) }}{{ end }}
{{- range .job.overrides }} {{ squote . }}{{ end }}
{{- end }}

{{/* Which Secret holds Ray's token of the standing cluster. */}}
{{- define "physrl.tokenSecret" -}}
{{ .Values.auth.secretName | default (include "physrl.name" .) }}
{{- end }}

{{/* Labels by which Kueue and Volcano know their workloads. */}}
{{- define "physrl.queueLabels" -}}
{{- with .Values.kueue.queue }}
kueue.x-k8s.io/queue-name: {{ . }}
{{- end }}
{{- with .Values.volcano.queue }}
volcano.sh/queue-name: {{ . }}
{{- end }}
{{- end }}

{{/* Wrong combinations, which a schema cannot see. */}}
{{- define "physrl.check" -}}
{{- $values := .Values }}
{{- if eq $values.image.tag "latest" }}
{{- fail "image.tag is latest, which is another image tomorrow: name a version" }}
{{- end }}
{{- if and $values.kueue.queue $values.volcano.queue }}
{{- fail (printf "kueue.queue is '%s' and volcano.queue is '%s': one of them schedules, empty the other" $values.kueue.queue $values.volcano.queue) }}
{{- end }}
{{- if and $values.kueue.queue $values.autoscaling.enabled }}
{{- fail (printf "kueue.queue is '%s' and autoscaling.enabled is true, but Kueue admits whole clusters of a fixed size: set autoscaling.enabled=false" $values.kueue.queue) }}
{{- end }}
{{- if le (int $values.termination.gracePeriodSeconds) (int $values.termination.stopSeconds) }}
{{- fail (printf "termination.gracePeriodSeconds is %d: it must exceed termination.stopSeconds, which is %d" (int $values.termination.gracePeriodSeconds) (int $values.termination.stopSeconds)) }}
{{- end }}
{{- if and $values.tensorboard.enabled (not $values.storage.url) }}
{{- fail "tensorboard.enabled is true but storage.url is empty: set storage.url=s3://bucket/prefix, which it shows" }}
{{- end }}
{{- if and $values.storage.claim.create (not $values.storage.claim.name) }}
{{- fail "storage.claim.create is true but storage.claim.name is empty: name the claim" }}
{{- end }}
{{- range $name, $group := $values.groups }}
{{- if or (gt (int $group.minReplicas) (int $group.replicas)) (gt (int $group.replicas) (int $group.maxReplicas)) }}
{{- fail (printf "groups.%s has minReplicas %d, replicas %d, maxReplicas %d: they must not fall" $name (int $group.minReplicas) (int $group.replicas) (int $group.maxReplicas)) }}
{{- end }}
{{- end }}
{{- if and $values.jobs (not $values.storage.claim.name) }}
{{- fail "jobs are asked for but storage.claim.name is empty: runs lie on a volume that all pods see; name a claim" }}
{{- end }}
{{- range $values.jobs }}
{{- if and (eq .verb "evaluate") (not .policy) }}
{{- fail (printf "jobs: '%s' evaluates but names no policy: set policy to a checkpoint, an adapter folder or a name on the hub" .name) }}
{{- end }}
{{- if and (ne .verb "evaluate") .policy }}
{{- fail (printf "jobs: '%s' has the policy '%s' but its verb is %s: only evaluate takes one" .name .policy .verb) }}
{{- end }}
{{- end }}
{{- end }}
