{{- define "tidewaiter.image" -}}
{{- $repository := required "image.repository is required: the image that `cargo xtask image --push` made" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tidewaiter.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Not empty: the cluster chooses the ids of users and groups, as OpenShift does. */ -}}
{{- define "tidewaiter.ids-of-cluster" -}}
{{- $set := toString .Values.openshift -}}
{{- if or (eq $set "true") (and (ne $set "false") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
true
{{- end -}}
{{- end -}}

{{- /* What every file of the chart depends on: the names in its permissions and admission policies. */ -}}
{{- define "tidewaiter.check" -}}
{{- if ne .Release.Namespace "tidewaiter-system" -}}
{{- fail (printf "install into the namespace tidewaiter-system, which the admission policies name, not into %s: helm install tidewaiter CHART --namespace tidewaiter-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{- define "tidewaiter.hook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- /* The names of all webhooks and admission policies that the server registers: those that its role names, by commas. */ -}}
{{- define "tidewaiter.registrations" -}}
{{- $names := list -}}
{{- range splitList "\n---\n" (.Files.Get "files/rbac.yaml") -}}
{{- range (fromYaml .).rules -}}
{{- if has "admissionregistration.k8s.io" .apiGroups -}}
{{- $names = concat $names .resourceNames -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | join "," -}}
{{- end -}}
