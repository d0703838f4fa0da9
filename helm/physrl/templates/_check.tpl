{{/* Combinations of values that a schema cannot refuse. */}}
{{- define "physrl.check" -}}
{{- $values := .Values }}
{{- $claim := .Values.storage.claim }}
{{- if eq $values.image.tag "latest" }}
{{- fail "image.tag is latest, which changes with every push: name a version" }}
{{- end }}
{{- if and (eq $values.image.pullPolicy "IfNotPresent") (not $values.image.digest) }}
{{- fail (printf "image.pullPolicy is IfNotPresent but image.digest is empty: nodes may run different images of the tag %s; set image.digest=sha256:..., or image.pullPolicy=Always" $values.image.tag) }}
{{- end }}
{{- if and $values.kueue.queue $values.volcano.queue }}
{{- fail (printf "kueue.queue is '%s' and volcano.queue is '%s': one of them schedules, empty the other" $values.kueue.queue $values.volcano.queue) }}
{{- end }}
{{- if and $values.kueue.queue $values.autoscaling.enabled }}
{{- fail (printf "kueue.queue is '%s' and autoscaling.enabled is true, but Kueue admits whole clusters of a fixed size: set autoscaling.enabled=false" $values.kueue.queue) }}
{{- end }}
{{- if lt (int $values.termination.gracePeriodSeconds) (add (int $values.termination.stopSeconds) 45 | int) }}
{{- fail (printf "termination.gracePeriodSeconds is %d: Ray itself takes up to 45 s to end, so it must be at least termination.stopSeconds + 45, which is %d" (int $values.termination.gracePeriodSeconds) (add (int $values.termination.stopSeconds) 45)) }}
{{- end }}
{{- if and $values.tensorboard.enabled (not $values.storage.url) }}
{{- fail "tensorboard.enabled is true but storage.url is empty: set storage.url=s3://bucket/prefix, which it shows" }}
{{- end }}
{{- if and $values.watch.enabled (not $values.storage.url) }}
{{- fail "watch.enabled is true but storage.url is empty: set storage.url=s3://bucket/prefix, which it shows" }}
{{- end }}
{{- if and $claim.create (not $claim.name) }}
{{- fail "storage.claim.create is true but storage.claim.name is empty: name the claim" }}
{{- end }}
{{- if and $claim.create (eq $claim.accessMode "ReadWriteOnce") (not $claim.singleNode) }}
{{- fail "storage.claim.accessMode is ReadWriteOnce, which pods of one node alone can mount: set ReadWriteMany, or storage.claim.singleNode=true on a cluster of one node" }}
{{- end }}
{{- if and $values.rbac.submitters (not $values.cluster.enabled) (not $values.auth.secretName) }}
{{- fail "rbac.submitters are named but auth.secretName is empty: the token of a RayJob is in a Secret with a random name, which no role can name; create a Secret with the key auth_token and set auth.secretName" }}
{{- end }}
{{- range $name, $group := $values.groups }}
{{- if or (gt (int $group.minReplicas) (int $group.replicas)) (gt (int $group.replicas) (int $group.maxReplicas)) }}
{{- fail (printf "groups.%s has minReplicas %d, replicas %d, maxReplicas %d: they must not fall" $name (int $group.minReplicas) (int $group.replicas) (int $group.maxReplicas)) }}
{{- end }}
{{- end }}
{{- if and $values.jobs (not $claim.name) }}
{{- fail "jobs are listed but storage.claim.name is empty: runs lie on a volume that all pods mount; name a claim" }}
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
