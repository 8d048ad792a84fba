{{/* The operator's environment. A variable without a value is left out: the operator has defaults. */}}
{{- define "operator.variable" -}}
{{- if not (kindIs "invalid" .value) }}{{ if ne (toString .value) "" }}
- {name: {{ .name }}, value: {{ toString .value | quote }}}
{{- end }}{{ end }}
{{- end }}

{{- define "operator.environment" -}}
{{- $own := .Values.kafka }}
{{- $worker := .Values.worker -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: LEADER_ELECTION, value: "true"}
{{- include "operator.variable" (dict "name" "KAFKA_BOOTSTRAP_SERVERS" "value" $own.bootstrapServers) }}
{{- include "operator.variable" (dict "name" "KAFKA_SECURITY_PROTOCOL" "value" $own.securityProtocol) }}
{{- with $own.credentialsSecret }}{{ if .name }}
- name: KAFKA_USER
  valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .userKey | quote }}}}
- name: KAFKA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .passwordKey | quote }}}}
{{- end }}{{ end }}
{{- if $own.caSecret.name }}
- {name: CA_PATH, value: /certs/ca.crt}
{{- end }}
{{- include "operator.variable" (dict "name" "QUEUE_CONTROL_TOPIC" "value" $own.controlTopic) }}
{{- include "operator.variable" (dict "name" "QUEUE_EVENTS_TOPIC" "value" $own.eventsTopic) }}
{{- include "operator.variable" (dict "name" "KAFKA_GROUP_ID" "value" $own.groupId) }}
{{- include "operator.variable" (dict "name" "WATCH_NAMESPACES" "value" (join "," .Values.watchNamespaces)) }}
{{- include "operator.variable" (dict "name" "WORKER_IMAGE" "value" $worker.image) }}
{{- include "operator.variable" (dict "name" "WORKER_KAFKA_BOOTSTRAP_SERVERS" "value" $worker.kafka.bootstrapServers) }}
{{- with $worker.kafka.credentialsSecret }}{{ if .name }}
{{- include "operator.variable" (dict "name" "WORKER_KAFKA_SECRET" "value" .name) }}
{{- include "operator.variable" (dict "name" "WORKER_KAFKA_USER_KEY" "value" .userKey) }}
{{- include "operator.variable" (dict "name" "WORKER_KAFKA_PASSWORD_KEY" "value" .passwordKey) }}
{{- end }}{{ end }}
{{- with $worker.kafka.caSecret }}{{ if .name }}
{{- include "operator.variable" (dict "name" "WORKER_CA_SECRET" "value" .name) }}
{{- include "operator.variable" (dict "name" "WORKER_CA_KEY" "value" .key) }}
{{- end }}{{ end }}
{{- include "operator.variable" (dict "name" "BINANCE_API_URL" "value" $worker.binance.apiUrl) }}
{{- include "operator.variable" (dict "name" "BINANCE_WS_URL" "value" $worker.binance.wsUrl) }}
{{- include "operator.variable" (dict "name" "BINANCE_ARCHIVE_URL" "value" $worker.binance.archiveUrl) }}
{{- include "operator.variable" (dict "name" "BINANCE_SECRET" "value" $worker.binance.credentialsSecret) }}
{{- include "operator.variable" (dict "name" "GRACE_SECONDS" "value" .Values.graceSeconds) }}
{{- include "operator.variable" (dict "name" "RESYNC_SECONDS" "value" .Values.resyncSeconds) }}
{{- include "operator.variable" (dict "name" "STATUS_WRITE_SECONDS" "value" .Values.statusWriteSeconds) }}
{{- include "operator.variable" (dict "name" "LOG_LEVEL" "value" .Values.log.level) }}
{{- include "operator.variable" (dict "name" "LOG_FORMAT" "value" .Values.log.format) }}
{{- end }}
