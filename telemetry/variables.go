package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel"
)

// The SDK replaces a value that it cannot read by the default, and continues: spans would go to another collector, or each call would be recorded.
// It fails by a panic for a negative queue. So the variables are checked before.

// VariableError is a variable with a value that cannot be used.
type VariableError struct{ err error }

// Error names the variable and what its value must be.
func (e *VariableError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *VariableError) Unwrap() error { return e.err }

const (
	// maxQueueLength bounds the queues of spans and log lines that a variable sets: 100,000 spans are some 120 MB.
	maxQueueLength = 100_000
	// maxMillis bounds times, in milliseconds: an hour.
	maxMillis = 3_600_000
)

// check returns what is wrong with the variables of the signals that are exported.
func (on signals) check() error {
	if !on.traces && !on.metrics && !on.logs {
		return nil
	}
	errs := []error{checkExporter(""), on.checkProtocols()}
	if on.traces {
		errs = append(errs, checkExporter("TRACES_"), checkQueue("OTEL_BSP_"), checkSampler())
	}
	if on.metrics {
		errs = append(errs, checkExporter("METRICS_"), checkNumber("OTEL_METRIC_EXPORT_INTERVAL", maxMillis), checkNumber("OTEL_METRIC_EXPORT_TIMEOUT", maxMillis))
	}
	if on.logs {
		errs = append(errs, checkExporter("LOGS_"), checkQueue("OTEL_BLRP_"))
	}
	return errors.Join(errs...)
}

// checkExporter checks the variables of all exporters, or those of one signal, such as "TRACES_".
func checkExporter(signal string) error {
	prefix := "OTEL_EXPORTER_OTLP_" + signal
	return errors.Join(checkEndpoint(prefix+"ENDPOINT"), checkHeaders(prefix+"HEADERS"), checkNumber(prefix+"TIMEOUT", maxMillis))
}

// checkProtocols requires gRPC for each signal that is exported. Its own variable precedes the shared one, which is named once.
func (on signals) checkProtocols() error {
	const shared = "OTEL_EXPORTER_OTLP_PROTOCOL"
	wrong := make(map[string]bool)
	for signal, exported := range map[string]bool{"TRACES": on.traces, "METRICS": on.metrics, "LOGS": on.logs} {
		name := "OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL"
		if os.Getenv(name) == "" {
			name = shared
		}
		if value := os.Getenv(name); exported && value != "" && value != "grpc" {
			wrong[name] = true
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		errs = append(errs, fmt.Errorf("%s=%s: must be grpc", name, os.Getenv(name)))
	}
	return errors.Join(errs...)
}

func checkQueue(prefix string) error {
	return errors.Join(checkNumber(prefix+"MAX_QUEUE_SIZE", maxQueueLength), checkNumber(prefix+"MAX_EXPORT_BATCH_SIZE", maxQueueLength),
		checkNumber(prefix+"SCHEDULE_DELAY", maxMillis), checkNumber(prefix+"EXPORT_TIMEOUT", maxMillis))
}

// checkEndpoint requires a URL. Without a scheme, HOST:PORT is not one, or HOST is read as its scheme.
func checkEndpoint(name string) error {
	value := os.Getenv(name)
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err == nil && (slices.Contains([]string{"http", "https"}, u.Scheme) && u.Host != "" || u.Scheme == "unix") {
		return nil
	}
	return fmt.Errorf("%s=%s: must be a URL such as http://HOST:4317", name, value)
}

// checkHeaders requires pairs. The error leaves the value out, because headers hold credentials.
func checkHeaders(name string) error {
	value := os.Getenv(name)
	if value == "" {
		return nil
	}
	for pair := range strings.SplitSeq(value, ",") {
		key, text, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(text); !ok || strings.TrimSpace(key) == "" || err != nil {
			return fmt.Errorf("%s: must be NAME=VALUE, with commas between several, and percent-encoded values", name)
		}
	}
	return nil
}

// checkNumber requires an integer from 1 to most.
func checkNumber(name string, most int) error {
	value := os.Getenv(name)
	if value == "" {
		return nil
	}
	if n, err := strconv.Atoi(strings.TrimSpace(value)); err != nil || n < 1 || n > most {
		return fmt.Errorf("%s=%s: must be an integer from 1 to %d", name, value, most)
	}
	return nil
}

// samplers are the values of OTEL_TRACES_SAMPLER.
var samplers = []string{
	"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

func checkSampler() error {
	const name, argName = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	value, arg := os.Getenv(name), os.Getenv(argName)
	if value == "" {
		return nil
	}
	if !slices.Contains(samplers, strings.ToLower(strings.TrimSpace(value))) {
		return fmt.Errorf("%s=%s: must be %s", name, value, strings.Join(samplers, ", "))
	}
	if share, err := strconv.ParseFloat(strings.TrimSpace(arg), 64); arg != "" && (err != nil || !(share >= 0 && share <= 1)) {
		return fmt.Errorf("%s=%s: must be a number from 0 to 1", argName, arg)
	}
	return nil
}

// isDisabled reads OTEL_SDK_DISABLED.
func isDisabled() (bool, error) {
	const name = "OTEL_SDK_DISABLED"
	switch value := os.Getenv(name); strings.ToLower(value) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("%s=%s: must be true or false", name, value)
	}
}

// startErrors collects what the SDK reports while the providers are made. Exporters report variables that they cannot read in this way only.
type startErrors struct{ errs []error }

// Handle implements otel.ErrorHandler.
func (s *startErrors) Handle(err error) { s.errs = append(s.errs, err) }

// reported calls f and returns its error, or else what the SDK reported meanwhile.
func reported(f func() error) error {
	var s startErrors
	otel.SetErrorHandler(&s)
	err := f()
	return errors.Join(err, errors.Join(s.errs...))
}
