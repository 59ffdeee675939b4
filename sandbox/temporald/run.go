package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	readyTimeout = 60 * time.Second
	// stopTimeout bounds a clean stop, which takes about a second. What is cut off then is recovered at the next
	// start, as after kill -9.
	stopTimeout = 10 * time.Second
)

// run starts the server and the web UI, says where they are once they answer, and stops them on SIGINT, SIGTERM, the
// end of ctx or, if asked for, the end of stdin. A second signal ends the process at once.
func run(ctx context.Context, o options, stdin io.Reader, stdout io.Writer) error {
	ctx, stopSignals := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stopSignals()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.stopWithParent {
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}

	server, err := o.newServer(ctx)
	if err != nil {
		return err
	}
	// The web UI comes first: clients take the frontend's first answer for the readiness of the whole.
	stopUI := func() {}
	if !o.headless {
		ui := o.newUI()
		// Start ends the process if it can't listen; choosePorts has looked before.
		go func() { _ = ui.Start() }()
		stopUI = ui.Stop
	}
	if err := server.Start(); err != nil {
		stopUI()
		return fmt.Errorf("start the server: %w", err)
	}
	if err := o.awaitReady(ctx); err == nil {
		o.announce(stdout)
		<-ctx.Done()
	} else if ctx.Err() == nil {
		_ = stopWithin(stopTimeout, stopUI, server)
		return err
	}
	stopSignals()
	return stopWithin(stopTimeout, stopUI, server)
}

func (o options) newServer(ctx context.Context) (temporal.Server, error) {
	ports, err := o.choosePorts()
	if err != nil {
		return nil, err
	}
	if err := o.prepareFiles(ctx); err != nil {
		return nil, err
	}
	conf := o.serverConfig(ports)
	if err := o.prepareNamespaces(ctx, conf.Persistence.DataStores[mainStore].SQL); err != nil {
		return nil, err
	}
	logger := o.newLogger()
	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("make the authorizer: %w", err)
	}
	claimMapper, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("make the claim mapper: %w", err)
	}
	return temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(o.staticHosts(ports)),
		temporal.WithDynamicConfigClient(o.dynamicConfigClient()),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claimMapper }),
	)
}

func (o options) newLogger() log.Logger {
	level, format := o.logLevel, "console"
	if level == "never" {
		level = "fatal" // what ends the process is said all the same
	}
	if o.logFormat == "json" {
		format = "json"
	}
	return log.NewZapLogger(log.BuildZapLogger(log.Config{Level: level, Format: format}))
}

func (o options) newUI() *uiserver.Server {
	host := o.uiIP
	if net.ParseIP(host).To4() == nil {
		host = "[" + host + "]" // it is put before ":port" as it stands
	}
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                host,
		Port:                o.uiPort,
		TemporalGRPCAddress: o.frontendAddress(),
		DefaultNamespace:    o.namespaces[len(o.namespaces)-1],
		EnableUI:            true,
		HideLogs:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true}, // plain HTTP on loopback
		Codec:               uiconfig.Codec{Endpoint: o.codecEndpoint},
		// Both would make the browser or the server call the outside world.
		DisableNewsFetch:   true,
		NotifyOnNewVersion: false,
	}))
}

// awaitReady returns once every namespace can be described, the first moment at which a client can do anything.
func (o options) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	conn, err := grpc.NewClient(o.frontendAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the frontend: %w", err)
	}
	defer func() { _ = conn.Close() }()
	client := workflowservice.NewWorkflowServiceClient(conn)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, name := range o.namespaces {
		for {
			_, err := client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the server was not ready within %v: %w", readyTimeout, err)
			case <-tick.C:
			}
		}
	}
	return nil
}

func (o options) announce(w io.Writer) {
	state := "in memory"
	if o.dbFile != "" {
		state = o.dbFile
	}
	_, _ = fmt.Fprintf(w, "%-17s %s\n%-17s %s\n", "Temporal server:", o.frontendAddress(), "State:", state)
	if !o.headless {
		_, _ = fmt.Fprintf(w, "%-17s http://%s\n", "Web UI:", net.JoinHostPort(o.uiIP, strconv.Itoa(o.uiPort)))
	}
}

func (o options) frontendAddress() string {
	return net.JoinHostPort(o.ip, strconv.Itoa(o.port))
}

// stopWithin stops the web UI and the server, and gives up waiting after limit.
func stopWithin(limit time.Duration, stopUI func(), server temporal.Server) error {
	done := make(chan error, 1)
	go func() {
		stopUI()
		done <- server.Stop()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("the server did not stop within %v; its state is recovered at the next start", limit)
	}
}
