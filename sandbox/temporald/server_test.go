package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// asServer makes the test binary behave as temporald, so that the tests start the real program without building it
// a second time.
const asServer = "TEMPORALD_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestServesAsTheSDKStartsIt(t *testing.T) {
	t.Setenv(asServer, "1")
	ctx := testContext(t)
	uiPort := freePort(t)
	server, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		ExistingPath:  os.Args[0],
		ClientOptions: &client.Options{Namespace: "shop"},
		EnableUI:      true,
		UIPort:        strconv.Itoa(uiPort),
		LogLevel:      "error",
		LogFormat:     "json",
		SearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword("Tenant").ValueSet("x"),
			temporal.NewSearchAttributeKeyInt64("Attempts").ValueSet(1)),
		ExtraArgs: []string{"--dynamic-config-value", "history.maxAutoResetPoints=21", "--retention", "36h"},
	})
	require.NoError(t, err)
	stop := sync.OnceValue(server.Stop)
	t.Cleanup(func() { _ = stop() })

	described, err := server.Client().WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "shop"})
	require.NoError(t, err)
	require.Equal(t, 36*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	attributes := customAttributes(ctx, t, server.Client(), "shop")
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, attributes["Tenant"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_INT, attributes["Attempts"])
	require.Equal(t, attributes, customAttributes(ctx, t, server.Client(), "default"), "the default namespace exists as well")

	ui := fmt.Sprintf("http://127.0.0.1:%d", uiPort)
	require.Equal(t, http.StatusOK, getStatus(ctx, t, ui+"/"))
	require.Equal(t, http.StatusOK, getStatus(ctx, t, ui+"/api/v1/namespaces/shop"))

	started := time.Now()
	server.Client().Close()
	require.NoError(t, stop())
	require.Less(t, time.Since(started), 5*time.Second)
}

func TestFileSurvivesKill(t *testing.T) {
	ctx := testContext(t)
	dbFile := filepath.Join(t.TempDir(), "state with % and ?.db")

	first := startProcess(t, "--db-filename", dbFile, "--search-attribute", "Tenant=Keyword")
	run, err := first.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "survivor", TaskQueue: "q",
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword("Tenant").ValueSet("acme"))}, greet)
	require.NoError(t, err)
	first.kill()

	// Another port, as after a restart with free ports, and one attribute more.
	second := startProcess(t, "--db-filename", dbFile, "--search-attribute", "Tenant=keyword", "--search-attribute", "State=Keyword")
	described, err := second.client.DescribeWorkflowExecution(ctx, "survivor", run.GetRunID())
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, described.GetWorkflowExecutionInfo().GetStatus())
	require.Equal(t, map[string]enumspb.IndexedValueType{
		"Tenant": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "State": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}, customAttributes(ctx, t, second.client, "default"))

	w := worker.New(second.client, "q", worker.Options{})
	w.RegisterWorkflow(greet)
	require.NoError(t, w.Start())
	defer w.Stop()
	var answer string
	require.NoError(t, second.client.GetWorkflow(ctx, "survivor", run.GetRunID()).Get(ctx, &answer))
	require.Equal(t, "hello", answer)
	require.Eventually(t, func() bool {
		count, err := second.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: "default", Query: `Tenant = "acme"`})
		return err == nil && count.GetCount() == 1
	}, 10*time.Second, 50*time.Millisecond, "visibility was kept, too")

	third := exec.CommandContext(ctx, os.Args[0], startArgs(freePort(t), "--db-filename", dbFile)...)
	third.Env = append(os.Environ(), asServer+"=1")
	output, err := third.CombinedOutput()
	require.Error(t, err, "one file, one server")
	require.Contains(t, string(output), "another process has it open")
}

func TestStopsWithItsParent(t *testing.T) {
	p := startProcess(t, "--stop-with-parent")
	p.client.Close()
	require.NoError(t, p.stdin.Close())
	require.NoError(t, p.wait())
}

func greet(workflow.Context) (string, error) { return "hello", nil }

type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	client client.Client
	done   chan struct{}
	err    error
}

// startProcess returns once the server has announced its address.
func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	port := freePort(t)
	p := &process{t: t, cmd: exec.Command(os.Args[0], startArgs(port, args...)...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asServer+"=1")
	p.cmd.Stderr = os.Stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.kill)

	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "it ended before it was ready")
	require.Contains(t, line, "127.0.0.1:"+strconv.Itoa(port))
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	p.client, err = client.Dial(client.Options{HostPort: "127.0.0.1:" + strconv.Itoa(port)})
	require.NoError(t, err)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) wait() error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(20 * time.Second):
		p.t.Fatal("the process did not end")
		return nil
	}
}

func startArgs(port int, args ...string) []string {
	return append([]string{"server", "start-dev", "--ip", "127.0.0.1", "--port", strconv.Itoa(port), "--headless", "--log-level", "error"}, args...)
}

func customAttributes(ctx context.Context, t *testing.T, c client.Client, namespace string) map[string]enumspb.IndexedValueType {
	t.Helper()
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	require.NoError(t, err)
	return listed.GetCustomAttributes()
}

func getStatus(ctx context.Context, t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestVersionNamesWhatIsBuiltIn(t *testing.T) {
	cmd := exec.CommandContext(testContext(t), os.Args[0], "--version")
	cmd.Env = append(os.Environ(), asServer+"=1")
	output, err := cmd.Output()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(output), "temporald version temporal server v1."), string(output))
}
