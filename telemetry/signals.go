package telemetry

import (
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
)

// roleKey is the attribute of a process's role.
const roleKey = attribute.Key("spillway.role")

// signals are the signals that a process exports over OTLP, and whether its metrics are scraped, or read in the process.
type signals struct {
	traces, metrics, logs bool
	scraped, read         bool
}

// signalsOf reads OpenTelemetry's variables, and checks those that matter.
func signalsOf(scraped, read bool) (signals, error) {
	if disabled, err := isDisabled(); disabled || err != nil {
		return signals{}, err
	}
	traces, terr := exports("TRACES")
	metrics, merr := exports("METRICS")
	logs, lerr := exports("LOGS")
	on := signals{traces: traces, metrics: metrics, logs: logs, scraped: scraped, read: read}
	return on, errors.Join(terr, merr, lerr, on.check())
}

// exports reports whether the signal is exported over OTLP: if OTEL_…_EXPORTER is otlp, or if it is not set and an endpoint is.
func exports(signal string) (bool, error) {
	name := "OTEL_" + signal + "_EXPORTER"
	switch value := os.Getenv(name); value {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if firstEnv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("%s=%s: must be otlp or none; Prometheus scrapes the address of --admin", name, value)
	}
	return true, nil
}

// firstEnv returns the first variable that is set.
func firstEnv(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}
