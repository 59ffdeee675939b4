package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
)

// books is a store with a connection.
func books(t *testing.T, locations ...string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for _, location := range locations {
		_, err := s.SaveConnection(t.Context(), store.Connection{Location: location, Access: store.ByOAuth, State: store.Active})
		require.NoError(t, err)
	}
	return s
}

func TestAChangeIsHintedAtUntilItIsFollowedAndLessAndLessOften(t *testing.T) {
	db, ctx := books(t, "a", "b"), t.Context()
	var hinted []string
	var broken error
	w := watcher{
		said: map[string]hint{}, unsettled: (&crew{books: db}).unsettled,
		look: func(_ context.Context, location string, h workflows.Hint) error {
			require.Equal(t, workflows.FromUpkeep, h.Source)
			hinted = append(hinted, location)
			return broken
		},
	}
	now := time.Now()
	round := func(after time.Duration) []string {
		now, hinted = now.Add(after), nil
		require.ErrorIs(t, w.round(ctx, now), broken)
		return hinted
	}
	require.ElementsMatch(t, []string{"a", "b"}, round(0))
	require.Empty(t, round(watchEvery-time.Millisecond))
	require.Len(t, round(time.Millisecond), 2)
	require.Empty(t, round(watchEvery))
	require.Len(t, round(watchEvery), 2)

	require.NoError(t, db.SettleConnection(ctx, "a", 1))
	require.Equal(t, []string{"b"}, round(time.Hour))
	require.NotContains(t, w.said, "a", "what is settled is forgotten")

	c, _, err := db.Connection(ctx, "a")
	require.NoError(t, err)
	c.State = store.Paused
	_, err = db.SaveConnection(ctx, c)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, round(0), "news does not wait")

	broken = errors.New("Temporal is away")
	require.Len(t, round(time.Hour), 2, "one fault does not keep the others from their hint")
	broken = nil
	for range 20 {
		round(longestSilence)
	}
	require.Len(t, round(longestSilence), 2, "a change is never given up")

	now, hinted = now.Add(time.Hour), nil
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, w.round(ended, now), context.Canceled)
}

func TestAnEndedProcessOfThisMachineIsNoWorker(t *testing.T) {
	require.False(t, gone(identity()), "this one is alive")
	ended, err := os.StartProcess(os.Args[0], []string{os.Args[0], "-test.run=^$"}, &os.ProcAttr{})
	require.NoError(t, err)
	_, err = ended.Wait()
	require.NoError(t, err)
	_, host, _ := strings.Cut(identity(), "@")
	require.True(t, gone(fmt.Sprintf("%d@%s", ended.Pid, host)))
	for _, who := range []string{fmt.Sprintf("%d@elsewhere", ended.Pid), "x@" + host, "-1@" + host, "0@" + host, host, ""} {
		require.False(t, gone(who), who)
	}
}

// lines is a log that calls on for each line.
type lines struct {
	mu  sync.Mutex
	on  func(string)
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	if l.on != nil {
		l.on(string(p))
	}
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "")
}

// member is a worker process before it takes any work.
func member(t *testing.T, address, who string, log *lines) *crew {
	t.Helper()
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	c := &crew{log: slog.New(slog.NewTextHandler(log, nil)), namespace: "default", books: books(t)}
	c.temporal, err = cluster.Dial(t.Context(), cluster.Options{Address: address, Identity: who, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(c.temporal.Close)
	c.directory, err = connections.Open(connections.Options{Config: c.config, Store: c.books, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(c.directory.Close)
	c.processes = worker.New(c.temporal, workflows.MainQueue, worker.Options{})
	workflows.Register(c.processes)
	return c
}

// begin lets the server hear of the worker.
func begin(t *testing.T, c *crew) {
	t.Helper()
	require.NoError(t, c.processes.Start())
	t.Cleanup(c.processes.Stop)
}

// TestANewcomerWaitsUntilTheOthersHaveMadeRoom: alone it begins at once.
func TestANewcomerWaitsUntilTheOthersHaveMadeRoom(t *testing.T) {
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	alone := &lines{}
	first := member(t, server.Address, identity(), alone)
	begin(t, first)
	first.join(t.Context())
	require.NotContains(t, alone.String(), "made room")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other := &lines{}
	second := member(t, server.Address, "1@elsewhere", other)
	begin(t, second)
	require.Eventually(t, func() bool {
		count, err := second.count(ctx, 0)
		return err == nil && count == 2
	}, 20*time.Second, 50*time.Millisecond)
	began := time.Now()
	waited := &lines{on: func(line string) {
		if strings.Contains(line, "made room") {
			cancel()
		}
	}}
	first.log = slog.New(slog.NewTextHandler(waited, nil))
	first.join(ctx)
	require.Contains(t, waited.String(), "workers=2")
	require.Less(t, time.Since(began), shareEvery, "asked to stop, it does not wait to the end")
}

// TestAWorkerCountsOnlyWhenItCanBeCounted: of two that begin in the same moment neither would see the other, and both
// would take the whole of the vendors' limits.
func TestAWorkerCountsOnlyWhenItCanBeCounted(t *testing.T) {
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	unheard := &lines{}
	c := member(t, server.Address, identity(), unheard)
	other := member(t, server.Address, "1@elsewhere", &lines{})
	begin(t, other)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorContains(t, c.heard(ctx), context.DeadlineExceeded.Error(), "somebody else is heard of, but not this one")
	begin(t, c)
	require.NoError(t, c.heard(t.Context()))
}
