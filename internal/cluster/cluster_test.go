package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
)

const marker = "jane.doe@example.com"

func ring(t *testing.T) *secret.Ring {
	t.Helper()
	r, err := secret.GenerateRing()
	require.NoError(t, err)
	return r
}

// bare unsets what the machine's own Temporal profile might say.
func bare(t *testing.T) {
	t.Helper()
	for _, name := range []string{"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE", "TEMPORAL_TLS"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
}

// fake is a frontend whose every answer the test decides. It stands for servers that a test cannot have: Temporal
// Cloud, and one that rejects credentials.
func fake(t *testing.T, answer func(method string) (proto.Message, error)) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		message, err := answer(method[strings.LastIndex(method, "/")+1:])
		if err != nil {
			return err
		}
		return stream.SendMsg(message)
	}))
	go func() { _ = server.Serve(socket) }()
	t.Cleanup(server.Stop)
	return socket.Addr().String()
}

func systemInfo(method string) (proto.Message, error) {
	if method == "GetSystemInfo" {
		return &workflowservice.GetSystemInfoResponse{}, nil
	}
	return nil, status.Error(codes.Unimplemented, method)
}

func TestTarget(t *testing.T) {
	bare(t)
	got, err := cluster.Options{}.Target()
	require.NoError(t, err)
	require.Equal(t, cluster.Target{Address: "localhost:7233", Namespace: "default"}, got)

	t.Setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
	t.Setenv("TEMPORAL_NAMESPACE", "books")
	got, err = cluster.Options{}.Target()
	require.NoError(t, err)
	require.Equal(t, cluster.Target{Address: "temporal.example:7233", Namespace: "books"}, got)
	got, err = cluster.Options{Address: "127.0.0.1:1", Namespace: "tests"}.Target()
	require.NoError(t, err)
	require.Equal(t, cluster.Target{Address: "127.0.0.1:1", Namespace: "tests"}, got)

	t.Setenv("TEMPORAL_PROFILE", "absent")
	_, err = cluster.Options{}.Target()
	require.ErrorContains(t, err, "TEMPORAL_*")
}

func TestDialNeedsKeys(t *testing.T) {
	bare(t)
	_, err := cluster.Dial(t.Context(), cluster.Options{Address: "127.0.0.1:1"})
	require.ErrorContains(t, err, "SECRET_KEYS")
	_, err = cluster.Lazy(cluster.Options{Address: "127.0.0.1:1"})
	require.ErrorContains(t, err, "SECRET_KEYS")
}

// TestDialWaits: the server comes up only after Dial has said that it waits for it.
func TestDialWaits(t *testing.T) {
	bare(t)
	var up atomic.Bool
	address := fake(t, func(method string) (proto.Message, error) {
		if !up.Load() {
			return nil, status.Error(codes.Unavailable, "starting")
		}
		return systemInfo(method)
	})
	log := &watched{on: func(line string) {
		if strings.Contains(line, "waiting for the Temporal server") {
			up.Store(true)
		}
	}}
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	c.Close()
	require.Contains(t, log.String(), address)
	require.Contains(t, log.String(), "TEMPORAL_ADDRESS")
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	bare(t)
	ctx, cancel := context.WithCancel(t.Context())
	log := &watched{on: func(string) { cancel() }}
	_, err := cluster.Dial(ctx, cluster.Options{Address: "127.0.0.1:1", Ring: ring(t), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "127.0.0.1:1 does not answer")
}

func TestDialDoesNotWaitForARefusal(t *testing.T) {
	bare(t)
	for _, code := range []codes.Code{codes.Unauthenticated, codes.PermissionDenied} {
		address := fake(t, func(string) (proto.Message, error) { return nil, status.Error(code, "who are you?") })
		_, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t)})
		require.ErrorContains(t, err, "refuses")
		require.ErrorContains(t, err, "TEMPORAL_API_KEY")
	}
}

// TestLazyConnectsLater: nothing listens, and the client is there all the same.
func TestLazyConnectsLater(t *testing.T) {
	bare(t)
	c, err := cluster.Lazy(cluster.Options{Address: "127.0.0.1:1", Ring: ring(t)})
	require.NoError(t, err)
	c.Close()
}

var keyword = map[string]enumspb.IndexedValueType{"TallystickTest": enumspb.INDEXED_VALUE_TYPE_KEYWORD}

// TestSearchAttributesInTemporalCloud: neither listing nor creating is allowed there.
func TestSearchAttributesInTemporalCloud(t *testing.T) {
	bare(t)
	var present atomic.Bool
	address := fake(t, func(method string) (proto.Message, error) {
		switch method {
		case "ListSearchAttributes", "AddSearchAttributes":
			return nil, status.Error(codes.PermissionDenied, "not here")
		case "CountWorkflowExecutions":
			if !present.Load() {
				return nil, status.Error(codes.InvalidArgument, "unknown search attribute")
			}
			return &workflowservice.CountWorkflowExecutionsResponse{}, nil
		}
		return systemInfo(method)
	})
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	err = cluster.EnsureSearchAttributes(t.Context(), c, "books", keyword)
	require.ErrorContains(t, err, "TallystickTest (Keyword) is missing")
	present.Store(true)
	require.NoError(t, cluster.EnsureSearchAttributes(t.Context(), c, "books", keyword))
}

// TestSearchAttributesWaitsUntilUsable: created is not yet usable.
func TestSearchAttributesWaitsUntilUsable(t *testing.T) {
	bare(t)
	var asked atomic.Int32
	address := fake(t, func(method string) (proto.Message, error) {
		switch method {
		case "ListSearchAttributes":
			return &operatorservice.ListSearchAttributesResponse{}, nil
		case "AddSearchAttributes":
			return nil, status.Error(codes.AlreadyExists, "another process was quicker")
		case "CountWorkflowExecutions":
			if asked.Add(1) < 3 {
				return nil, status.Error(codes.InvalidArgument, "unknown search attribute")
			}
			return &workflowservice.CountWorkflowExecutionsResponse{}, nil
		}
		return systemInfo(method)
	})
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, cluster.EnsureSearchAttributes(t.Context(), c, "books", keyword))
	require.EqualValues(t, 3, asked.Load())
}

// TestRealServer takes one workflow over a real server, and looks at all that Dial wires up.
func TestRealServer(t *testing.T) {
	bare(t)
	dir := t.TempDir()
	server := devservertest.Start(t, devserver.StartOptions{Headless: true, Dir: dir})
	registry := prometheus.NewRegistry()
	metrics, err := cluster.Metrics(registry, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	c, err := cluster.Dial(t.Context(), cluster.Options{
		Address: server.Address, Identity: "cluster-test", Ring: ring(t), Metrics: metrics, Tracer: provider.Tracer("test"),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)

	require.NoError(t, cluster.CheckNamespace(t.Context(), c, "default"))
	require.ErrorContains(t, cluster.CheckNamespace(t.Context(), c, "elsewhere"), "TEMPORAL_NAMESPACE")

	want := map[string]enumspb.IndexedValueType{
		"TallystickTest": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "TallystickParkedTest": enumspb.INDEXED_VALUE_TYPE_BOOL,
	}
	var g errgroup.Group
	for range 3 { // several processes start at once
		g.Go(func() error { return cluster.EnsureSearchAttributes(t.Context(), c, "default", want) })
	}
	require.NoError(t, g.Wait())
	require.NoError(t, cluster.EnsureSearchAttributes(t.Context(), c, "default", want), "and again later")
	err = cluster.EnsureSearchAttributes(t.Context(), c, "default",
		map[string]enumspb.IndexedValueType{"TallystickTest": enumspb.INDEXED_VALUE_TYPE_INT})
	require.ErrorContains(t, err, "must be Int")

	runMarked(t, c)
	names := map[string]bool{}
	for _, s := range spans.GetSpans() {
		names[s.Name] = true
	}
	require.Contains(t, names, "RunWorkflow:marked")
	require.Contains(t, names, "RunActivity:failing")
	metricsPublished(t, registry)

	server.Kill() // what is on the disk then is what a thief finds
	nothingReadable(t, dir)
}

// runMarked carries the marker through an input, a failed activity, a memo, a summary and a result.
func runMarked(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, "cluster-test", worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, in string) (string, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: "for " + in,
		})
		err := workflow.ExecuteActivity(ctx, "failing", in).Get(ctx, nil)
		var failed *temporal.ApplicationError
		if !errors.As(err, &failed) {
			return "", err
		}
		return failed.Message(), nil
	}, workflow.RegisterOptions{Name: "marked"})
	w.RegisterActivityWithOptions(func(_ context.Context, in string) error {
		return temporal.NewApplicationError("no account for "+in, "Mapping")
	}, activity.RegisterOptions{Name: "failing"})
	require.NoError(t, w.Start())
	defer w.Stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		TaskQueue: "cluster-test", Memo: map[string]any{"m": marker},
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword("TallystickTest").ValueSet("loc1")),
	}, "marked", marker)
	require.NoError(t, err)
	var out string
	require.NoError(t, run.Get(t.Context(), &out))
	require.Equal(t, "no account for "+marker, out, "whoever has the keys reads everything")
}

func metricsPublished(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	buckets := 0
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		if f.GetName() == "temporal_activity_execution_latency_seconds" {
			buckets = len(f.GetMetric()[0].GetHistogram().GetBucket())
		}
	}
	require.Contains(t, names, "temporal_request_total")
	require.Greater(t, buckets, 15, "%v", names)
}

// nothingReadable looks into the server's own files, as whoever steals its disk would.
func nothingReadable(t *testing.T, dir string) {
	t.Helper()
	var files int
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files++
		require.False(t, bytes.Contains(content, []byte(marker)), "%s holds the marker in the clear", path)
		return err
	}))
	require.Positive(t, files)
}

// watched is a log that calls on for each line.
type watched struct {
	mu  sync.Mutex
	buf bytes.Buffer
	on  func(string)
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on(string(p))
	return w.buf.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
