{{- define "mayfly.name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "mayfly.selector" -}}
app.kubernetes.io/name: mayfly
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mayfly.labels" -}}
{{ include "mayfly.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* Settings that contradict each other: told before anything is applied. */ -}}
{{- define "mayfly.check" -}}
{{- if and (not .Values.cluster.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "without cluster.enabled a gateway is one node with a disk of its own: set replicas to 1" -}}
{{- end -}}
{{- if and (not .Values.cluster.enabled) (or .Values.autoscaling.enabled .Values.keda.enabled) -}}
{{- fail "only a cluster can have more nodes: set cluster.enabled, or turn autoscaling and keda off" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling and keda would scale the same pods: turn one of them off" -}}
{{- end -}}
{{- end -}}
