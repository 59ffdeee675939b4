package config

import (
	"fmt"
	"strings"
)

const docHead = `<!-- Made by go generate ./internal/config from the tags in internal/config/config.go. Don't edit. -->
# Configuration

Everything is set by environment variables. All faults are reported at once when a process starts, and a summary with
secrets shown only as "set" or "not set" begins its log. A variable that is set but empty counts as unset. Durations are
written as 30s, 5m, 2h or 1h30m.

"Needed by" names who does not start without the variable: the worker, ` + "`starter serve`, `starter check`" + `, or the other
commands of the starter.
`

const docTail = `
## Temporal

Read by Temporal's own library, with the same names and profiles as the Temporal CLI. Environment variables win over the
profile in the file.

| variable | default | meaning |
| --- | --- | --- |
| ` + "`TEMPORAL_ADDRESS`" + ` | ` + "`localhost:7233`" + ` | Host and port of the server's frontend. |
| ` + "`TEMPORAL_NAMESPACE`" + ` | ` + "`default`" + ` | Namespace. It must exist. |
| ` + "`TEMPORAL_API_KEY`" + ` | | API key, for Temporal Cloud. Turns TLS on. |
| ` + "`TEMPORAL_TLS`" + ` | | ` + "`true` or `false`" + ` turns TLS on or off. |
| ` + "`TEMPORAL_TLS_CLIENT_CERT_PATH`, `TEMPORAL_TLS_CLIENT_KEY_PATH`" + ` | | Client certificate and key, as files; ` + "`…_DATA`" + ` instead of ` + "`…_PATH`" + ` takes the PEM itself. |
| ` + "`TEMPORAL_TLS_SERVER_CA_CERT_PATH`" + ` | | Certificate authority of the server; ` + "`…_DATA`" + ` takes the PEM itself. |
| ` + "`TEMPORAL_TLS_SERVER_NAME`" + ` | | Name expected in the server's certificate. |
| ` + "`TEMPORAL_TLS_DISABLE_HOST_VERIFICATION`" + ` | | ` + "`true`" + ` accepts any certificate. For tests only. |
| ` + "`TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE`" + ` | ` + "`default`" + `, the user's ` + "`temporalio/temporal.toml`" + ` | Profile and file to read the settings above from. |
| ` + "`TEMPORAL_GRPC_META_*`" + ` | | Headers sent with every call. |

## Traces

| variable | default | meaning |
| --- | --- | --- |
| ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` | | OpenTelemetry collector, by HTTP, such as ` + "`http://localhost:4318`" + `. Without it nothing is traced. The other ` + "`OTEL_*`" + ` variables of the OpenTelemetry specification (headers, sampling, resource attributes) are understood as well. |
`

// Markdown is the text of docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(docHead)
	group := ""
	for _, v := range Variables() {
		if v.Group != group {
			group = v.Group
			fmt.Fprintf(&b, "\n## %s\n\n| variable | default | needed by | meaning |\n| --- | --- | --- | --- |\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, shownDefault(v), neededBy(v), cell(v.Description))
	}
	b.WriteString(docTail)
	return b.String()
}

func neededBy(v Variable) string {
	text := strings.Join(v.Needed, ", ")
	if v.When != "" {
		text += " if `" + v.When + "` is set"
	}
	if v.When != "" && v.Unless != "" {
		text += " and `" + v.Unless + "` is not"
	} else if v.Unless != "" {
		text += " unless `" + v.Unless + "` is set"
	}
	return text
}

func shownDefault(v Variable) string {
	switch {
	case v.Default == "":
		return ""
	case strings.HasPrefix(v.Default, "-----BEGIN"):
		return "HighLevel's key"
	default:
		return "`" + v.Default + "`"
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
