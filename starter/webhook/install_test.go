package webhook

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/testkit"
)

// arrivals is an Installs that remembers.
type arrivals struct {
	mu   sync.Mutex
	seen []string
	last connections.Event
	err  error
}

func (a *arrivals) Installed(_ context.Context, e connections.Event) error { return a.take("in", e) }
func (a *arrivals) Uninstalled(_ context.Context, e connections.Event) error {
	return a.take("out", e)
}

func (a *arrivals) take(what string, e connections.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen, a.last = append(a.seen, what+" "+e.Company+"/"+e.Location), e
	return a.err
}

const (
	installed   = `{"type":"INSTALL","appId":"app1","companyId":"c1","locationId":"l1","companyName":"Agency","timestamp":"2026-11-01T10:00:00.000Z"}`
	uninstalled = `{"type":"UNINSTALL","appId":"app1","locationId":"l1"}`
)

func TestInstallationsAreHandedOn(t *testing.T) {
	all := &arrivals{}
	b := open(t, func(o *Options) { o.Installs = all })
	for _, c := range []struct {
		path, body string
		code       int
		seen       string
	}{
		{"", installed, 200, "in c1/l1"},
		{"/INSTALL", installed, 200, "in c1/l1"},
		{"/AppInstall", `{"appId":"app1","companyId":"c1"}`, 200, "in c1/"},
		{"", uninstalled, 200, "out /l1"},
		{"/AppUninstall", `{"type":"AppUninstall","appId":"app1","companyId":"c1"}`, 200, "out c1/"},
		{"/AppInstall", uninstalled, 400, ""},
		{"/UNINSTALL", installed, 400, ""},
		{"", `{"type":"UNINSTALL","locationId":"l1"}`, 400, ""},
		{"", `{"type":"UNINSTALL","appId":"app1"}`, 400, ""},
		{"", `{"type":"UNINSTALL","appId":"app1","locationId":"l1/../l2"}`, 400, ""},
		{"", `{"type":"UNINSTALL","appId":"app1","companyId":"c 1"}`, 400, ""},
	} {
		before := len(all.seen)
		code, a, _ := b.send(t, "/webhooks/ghl"+c.path, c.body)
		assert.Equal(t, c.code, code, "%s %s: %v", c.path, c.body, a)
		if c.seen == "" {
			assert.Len(t, all.seen, before, "%s %s", c.path, c.body)
			continue
		}
		require.Len(t, all.seen, before+1)
		assert.Equal(t, c.seen, all.seen[before])
		assert.Equal(t, "app1", all.last.AppID)
	}
	_, _, _ = b.send(t, "/webhooks/ghl", installed)
	assert.Equal(t, connections.Event{
		AppID: "app1", Company: "c1", Location: "l1", Name: "Agency", At: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC),
	}, all.last)
}

func TestAnInstallationWithoutASignatureIsNothing(t *testing.T) {
	all := &arrivals{}
	b := open(t, func(o *Options) { o.Installs = all })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/webhooks/ghl", bytes.NewReader([]byte(uninstalled)))
	require.NoError(t, err)
	request.Header.Set(SignatureHeader, sign(b.private, []byte(installed)))
	code, _, _ := do(t, request)
	assert.Equal(t, 401, code)
	assert.Empty(t, all.seen)
}

func TestWhatAnInstallationIsAnswered(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   int
		status string
		after  string
	}{
		{nil, 200, "accepted", ""},
		{connections.ErrNoApp, 200, "ignored", ""},
		{connections.ErrOtherApp, 403, "refused", ""},
		{connections.ErrMismatch, 403, "refused", ""},
		{errors.New("the store is away"), 429, "later", "30"},
	} {
		b := open(t, func(o *Options) { o.Installs = &arrivals{err: c.err} })
		code, a, head := b.send(t, "/webhooks/ghl", uninstalled)
		assert.Equal(t, c.code, code)
		assert.Equal(t, c.status, a.Status)
		assert.Equal(t, c.after, head.Get("Retry-After"))
	}
	b := open(t)
	code, a, _ := b.send(t, "/webhooks/ghl", uninstalled)
	assert.Equal(t, 200, code, "without an app installations are nobody's")
	assert.Equal(t, "ignored", a.Status)
}

// asleep are locations that rest.
type asleep struct{ several }

func (asleep) Connected(context.Context, string) (bool, error) { return false, nil }
func (asleep) Resting(context.Context, string) (bool, error)   { return true, nil }

func TestARestingLocationIsIgnoredNotRefused(t *testing.T) {
	b := open(t, func(o *Options) { o.Locations = asleep{} })
	code, a, _ := b.send(t, "/webhooks/ghl/OrderCreate", paidOrder)
	assert.Equal(t, 200, code)
	assert.Equal(t, "ignored", a.Status)
	assert.Empty(t, b.door.all())
}

func TestOneLocationGetsHalfOfTheDoor(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	b := open(t, func(o *Options) { o.InFlight, o.Locations = 4, several{} })
	b.door.do = func(context.Context) error {
		inside <- struct{}{}
		<-goOn
		return nil
	}
	var answers sync.WaitGroup
	send := func(location string) {
		answers.Go(func() {
			code, _, _ := b.send(t, "/webhooks/ghl/OrderCreate", `{"_id":"o1","locationId":"`+location+`"}`)
			assert.Equal(t, 200, code)
		})
		<-inside
	}
	send("flooded")
	send("flooded")
	code, a, head := b.send(t, "/webhooks/ghl/OrderCreate", `{"_id":"o1","altId":"flooded"}`)
	assert.Equal(t, 429, code)
	assert.Equal(t, "later", a.Status)
	assert.Equal(t, "5", head.Get("Retry-After"))
	// Who cannot sign is told so, and takes nothing of the share.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/webhooks/ghl/OrderCreate",
		bytes.NewReader([]byte(`{"_id":"o1","locationId":"other"}`)))
	require.NoError(t, err)
	code, _, _ = do(t, request)
	assert.Equal(t, 401, code)
	send("other")
	send("other")
	close(goOn)
	answers.Wait()
	assert.Equal(t, 1.0, b.counted(t)["location_overloaded/OrderCreate"])
	go func() { <-inside }()
	code, _, _ = b.send(t, "/webhooks/ghl/OrderCreate", `{"_id":"o1","locationId":"flooded"}`)
	assert.Equal(t, 200, code, "the share is free again")
	assert.Zero(t, b.handler.gate.Shares().Held(), "and nothing is kept of who had one")
}

// TestPublishedInstallations sends HighLevel's own samples of both pages.
func TestPublishedInstallations(t *testing.T) {
	folder := os.Getenv("TALLYSTICK_GHL_CONTRACTS")
	if folder == "" {
		testkit.Missing(t, "HighLevel's published contract files: set TALLYSTICK_GHL_CONTRACTS to the folder that holds webhooks/*.json")
	}
	_, err := os.Stat(filepath.Join(folder, "webhooks", "AppUninstall.json"))
	require.NoError(t, err)
	for _, p := range pages(t) {
		if p.Event != "AppInstall" && p.Event != "AppUninstall" {
			continue
		}
		all := &arrivals{}
		b := open(t, func(o *Options) { o.Installs = all })
		for _, sample := range p.Samples {
			code, a, _ := b.send(t, "/webhooks/ghl", string(sample))
			assert.Equal(t, 200, code, a)
			assert.Equal(t, "accepted", a.Status)
			assert.Equal(t, "ve9EPM428h8vShlRW1KT", all.last.AppID)
		}
		assert.Len(t, all.seen, len(p.Samples))
	}
}
