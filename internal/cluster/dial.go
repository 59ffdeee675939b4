package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"

	"github.com/tallystick/tallystick/internal/secret"
)

// The waits between attempts to reach the server.
const (
	firstWait   = 250 * time.Millisecond
	longestWait = 5 * time.Second
)

// Options says how to connect. Address and Namespace override what the environment says; tests and the sandbox set them.
type Options struct {
	Address, Namespace string
	// Identity is how the process shows in histories and in the list of workers. Empty takes the library's, made of
	// process id and host name.
	Identity string
	// Ring seals payloads and errors. Every process that works on the same namespace needs the same keys.
	Ring *secret.Ring
	// Logger gets the library's lines, and what Dial waits for. Nil says nothing.
	Logger *slog.Logger
	// Metrics is what Metrics made, or nil for none.
	Metrics client.MetricsHandler
	// Tracer puts workflows and activities into traces. Nil leaves them out, at no cost.
	Tracer trace.Tracer
}

// Target says which server and namespace a process works on.
type Target struct{ Address, Namespace string }

// Target returns where Dial will connect to.
func (o Options) Target() (Target, error) {
	settings, err := o.load()
	return Target{settings.HostPort, settings.Namespace}, err
}

// load reads the TEMPORAL_* variables and the profile file.
func (o Options) load() (client.Options, error) {
	settings, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return client.Options{}, fmt.Errorf("read the TEMPORAL_* variables and the profile: %w", err)
	}
	settings.HostPort = cmp.Or(o.Address, settings.HostPort, client.DefaultHostPort)
	settings.Namespace = cmp.Or(o.Namespace, settings.Namespace, client.DefaultNamespace)
	return settings, nil
}

// Dial connects to the server and waits until it answers, however long that takes, while saying what it waits for; it
// gives up when ctx ends or the server refuses. The namespace is not looked at: see CheckNamespace.
func Dial(ctx context.Context, o Options) (client.Client, error) {
	settings, err := o.clientOptions()
	if err != nil {
		return nil, err
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		c, err := client.DialContext(ctx, settings)
		if err == nil {
			return c, nil
		}
		if refused(err) {
			return nil, fmt.Errorf("the Temporal server at %s refuses: %w; check TEMPORAL_API_KEY or the client certificate", settings.HostPort, err)
		}
		o.logger().WarnContext(ctx, "waiting for the Temporal server; set TEMPORAL_ADDRESS if it is elsewhere",
			"address", settings.HostPort, "error", err.Error())
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the Temporal server at %s does not answer (%w): %w", settings.HostPort, err, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// Lazy makes a client that connects with its first call. It is for a front door that must be alive, and say no, while
// Temporal is away.
func Lazy(o Options) (client.Client, error) {
	settings, err := o.clientOptions()
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(settings)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to Temporal: %w", err)
	}
	return c, nil
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o Options) clientOptions() (client.Options, error) {
	if o.Ring == nil {
		return client.Options{}, errors.New("there is no key ring to seal payloads with: set SECRET_KEYS")
	}
	settings, err := o.load()
	if err != nil {
		return client.Options{}, err
	}
	settings.Identity = o.Identity
	settings.Logger = sdklog.NewStructuredLogger(o.logger())
	settings.MetricsHandler = o.Metrics
	settings.DataConverter = secret.DataConverter(o.Ring)
	settings.FailureConverter = secret.FailureConverter(o.Ring)
	// Sealed payloads do not become smaller. Compressing calls, the library's default, takes a sixth of the worker's CPU
	// time and as much of the server's.
	settings.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	if o.Tracer != nil {
		// A broken header must not stop a payment: the span then has no parent.
		tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
			Tracer: o.Tracer, DisableBaggage: true, AllowInvalidParentSpans: true,
		})
		if err != nil {
			return client.Options{}, fmt.Errorf("prepare tracing: %w", err)
		}
		settings.Interceptors = []interceptor.ClientInterceptor{tracing}
	}
	return settings, nil
}

// refused tells an answer that waiting does not change from a server that is away, starting or overloaded.
func refused(err error) bool {
	var denied *serviceerror.PermissionDenied
	var invalid *serviceerror.InvalidArgument
	return errors.As(err, &denied) || errors.As(err, &invalid) || unauthenticated(err)
}
