package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	enumspb "go.temporal.io/api/enums/v1"
)

// options is what the command line says, parsed and checked.
type options struct {
	ip         string // numeric loopback address of the frontend and the internal services
	port       int
	uiIP       string
	uiPort     int // 0: port + 1000
	headless   bool
	namespaces []string
	dbFile     string // empty: in memory
	retention  time.Duration

	dynamicConfig    map[string]any
	searchAttributes map[string]enumspb.IndexedValueType

	logLevel       string
	logFormat      string
	codecEndpoint  string
	stopWithParent bool
}

// newCommand makes the command tree `temporald server start-dev`.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "temporald",
		Short:         "A Temporal server with its web UI on SQLite, for the sandbox and for tests",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	server := &cobra.Command{Use: "server", Short: "Run the server"}
	server.AddCommand(newStartCommand())
	root.AddCommand(server)
	return root
}

func newStartCommand() *cobra.Command {
	var (
		opts             options
		dynamic, attribs []string
	)
	cmd := &cobra.Command{
		Use:   "start-dev",
		Short: "Start the server and run until SIGINT or SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.complete(dynamic, attribs); err != nil {
				return err
			}
			return run(cmd.Context(), opts, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.ip, "ip", "localhost", "loopback address for the frontend")
	f.IntVarP(&opts.port, "port", "p", 7233, "port for the frontend (gRPC)")
	f.StringVar(&opts.uiIP, "ui-ip", "", "loopback address for the web UI (default: --ip)")
	f.IntVar(&opts.uiPort, "ui-port", 0, "port for the web UI (default: --port + 1000)")
	f.BoolVar(&opts.headless, "headless", false, "no web UI")
	f.StringArrayVarP(&opts.namespaces, "namespace", "n", nil, "namespace to create besides \"default\"; may be repeated")
	f.StringVarP(&opts.dbFile, "db-filename", "f", "",
		"keep the state in this file and visibility in FILE-visibility; without it the state lives in memory")
	f.DurationVar(&opts.retention, "retention", 24*time.Hour, "how long closed workflows are kept")
	f.StringArrayVar(&dynamic, "dynamic-config-value", nil, "KEY=JSON, overrides a dynamic configuration value; may be repeated")
	f.StringArrayVar(&attribs, "search-attribute", nil, "NAME=TYPE (Keyword, Text, Int, Double, Bool, Datetime, KeywordList); may be repeated")
	f.StringVar(&opts.logLevel, "log-level", "warn", "debug, info, warn, error or never")
	f.StringVar(&opts.logFormat, "log-format", "text", "text, json or pretty; logs go to standard error")
	f.StringVar(&opts.codecEndpoint, "ui-codec-endpoint", "", "address of a codec server with which the web UI shows encrypted payloads")
	f.BoolVar(&opts.stopWithParent, "stop-with-parent", false,
		"stop when standard input closes, so that a killed parent leaves no server behind")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "codec-endpoint" {
			name = "ui-codec-endpoint"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

// complete checks what was given and fills in what follows from it.
func (o *options) complete(dynamic, attribs []string) error {
	if o.uiIP == "" {
		o.uiIP = o.ip
	}
	for _, ip := range []*string{&o.ip, &o.uiIP} {
		if *ip == "localhost" {
			*ip = "127.0.0.1"
		}
		// Nothing asks who is calling, so nobody but this machine may.
		if addr := net.ParseIP(*ip); addr == nil || !addr.IsLoopback() {
			return fmt.Errorf("%q is not a loopback address; this server has no authentication, so give 127.0.0.1 or ::1", *ip)
		}
	}
	if o.port < 1 || o.port > 65535 || o.uiPort < 0 || o.uiPort > 65535 {
		return errors.New("--port must lie in 1..65535, --ui-port in 0..65535")
	}
	if o.uiPort == 0 {
		o.uiPort = min(o.port+1000, 65535)
	}
	if o.retention < time.Hour {
		return errors.New("--retention must be at least 1h")
	}
	if !slices.Contains(o.namespaces, "default") {
		o.namespaces = append([]string{"default"}, o.namespaces...)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error", "never"}, o.logLevel) {
		return fmt.Errorf("--log-level %q is not one of debug, info, warn, error, never", o.logLevel)
	}
	var err error
	if o.dynamicConfig, err = parseDynamicConfig(dynamic); err != nil {
		return err
	}
	o.searchAttributes, err = parseSearchAttributes(attribs)
	return err
}

// parseDynamicConfig reads KEY=JSON pairs. Whole numbers become int: the server takes no other type for a count and
// would silently go on with its default.
func parseDynamicConfig(pairs []string) (map[string]any, error) {
	values := make(map[string]any, len(pairs))
	for _, pair := range pairs {
		key, text, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("--dynamic-config-value %q is not KEY=JSON", pair)
		}
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		dec.UseNumber()
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("--dynamic-config-value %s: %q is not JSON (a string needs double quotes): %w", key, text, err)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("--dynamic-config-value %s: %q is more than one JSON value", key, text)
		}
		if number, ok := value.(json.Number); ok {
			if n, err := number.Int64(); err == nil {
				value = int(n)
			} else if value, err = number.Float64(); err != nil {
				return nil, fmt.Errorf("--dynamic-config-value %s: %w", key, err)
			}
		}
		values[key] = value
	}
	return values, nil
}

// parseSearchAttributes reads NAME=TYPE pairs; the case of TYPE does not matter.
func parseSearchAttributes(pairs []string) (map[string]enumspb.IndexedValueType, error) {
	attributes := make(map[string]enumspb.IndexedValueType, len(pairs))
	for _, pair := range pairs {
		name, kind, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--search-attribute %q is not NAME=TYPE", pair)
		}
		for text, value := range enumspb.IndexedValueType_shorthandValue {
			if value != 0 && strings.EqualFold(kind, text) {
				attributes[name] = enumspb.IndexedValueType(value)
			}
		}
		if attributes[name] == 0 {
			return nil, fmt.Errorf("--search-attribute %s: unknown type %q", name, kind)
		}
	}
	return attributes, nil
}

// version names the Temporal server and web UI that were built in.
func version() string {
	server, ui := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch dep.Path {
			case "go.temporal.io/server":
				server = dep.Version
			case "github.com/temporalio/ui-server/v2":
				ui = dep.Version
			}
		}
	}
	return fmt.Sprintf("temporal server %s, web UI %s", server, ui)
}
