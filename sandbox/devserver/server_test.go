package devserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
)

func dial(t *testing.T, server *devserver.Server, namespace string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: server.Address, Namespace: namespace})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestServerInMemory(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{
		Namespace:        "shop",
		SearchAttributes: map[string]enumspb.IndexedValueType{"Tenant": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		DynamicConfig:    map[string]string{"limit.maxIDLength": "77"},
		Retention:        72 * time.Hour,
	})
	c := dial(t, server, "shop")
	described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "shop"})
	require.NoError(t, err)
	require.Equal(t, 72*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	listed, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "shop"})
	require.NoError(t, err)
	require.Contains(t, listed.GetCustomAttributes(), "Tenant")
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "q", ID: string(make([]byte, 78))}, "any")
	require.Error(t, err, "the dynamic setting is in force")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.UIAddress, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	require.ErrorContains(t, server.Restart(t.Context()), "in memory")
	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop(), "twice is once")
	<-server.Done()
}

func TestServerOnAFileGoesOnAfterKillAndStop(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(t.TempDir(), "server.log")
	server := devservertest.Start(t, devserver.StartOptions{Dir: dir, Headless: true, LogFile: log, LogLevel: "info"})
	require.Empty(t, server.UIAddress)
	c := dial(t, server, "")
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "survivor", TaskQueue: "q"}, "any")
	require.NoError(t, err)

	address, pid := server.Address, server.PID()
	for _, end := range []func(){server.Kill, func() { require.NoError(t, server.Stop()) }, func() {}} {
		end()
		require.NoError(t, server.Restart(t.Context()))
		require.Equal(t, address, server.Address)
		require.NotEqual(t, pid, server.PID())
		pid = server.PID()
		require.Eventually(t, func() bool {
			described, err := c.DescribeWorkflowExecution(t.Context(), "survivor", "")
			return err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		}, 20*time.Second, 50*time.Millisecond, "the client of before finds the workflow again")
	}
	require.FileExists(t, filepath.Join(dir, "temporal.db"))
	written, err := os.ReadFile(log)
	require.NoError(t, err)
	require.NotEmpty(t, written)
}

func TestAServerThatCanNotStartSaysWhy(t *testing.T) {
	first := devservertest.Start(t, devserver.StartOptions{Headless: true, Dir: t.TempDir()})
	path := devservertest.Binary(t)

	_, err := devserver.Start(t.Context(), devserver.StartOptions{Binary: path, Headless: true, Dir: filepath.Join(t.TempDir(), "absent")})
	require.ErrorContains(t, err, "create it first")
	_, err = devserver.Start(t.Context(), devserver.StartOptions{Binary: path, DynamicConfig: map[string]string{"a.b": "text"}})
	require.ErrorContains(t, err, "not JSON")
	_, err = devserver.Start(t.Context(), devserver.StartOptions{})
	require.ErrorContains(t, err, "call Binary")
	require.NoError(t, first.Stop())
}
