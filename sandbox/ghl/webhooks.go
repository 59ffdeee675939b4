package ghl

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// WebhookOptions say which webhooks are sent, and how.
type WebhookOptions struct {
	// Events are those that are sent; DefaultEvents where it is nil. INSTALL and UNINSTALL are sent in any case.
	Events []string
	// Retries is how often a delivery that was answered 429 is tried again: 6 where it is zero, as published.
	Retries int
	// RetryInterval is the time between, a tenth of jitter added: 10 minutes where it is zero, as published.
	RetryInterval time.Duration
	// Timeout bounds one delivery; 15 seconds where it is zero. HighLevel publishes none.
	Timeout time.Duration
}

// DefaultEvents are the events about orders and their invoices.
func DefaultEvents() []string {
	return []string{"OrderCreate", "OrderStatusUpdate", "InvoicePaid", "InvoicePartiallyPaid"}
}

// Delivery is one attempt to deliver a webhook, or an event that was never sent.
type Delivery struct {
	Event, ObjectID string
	// WebhookID is the same for all copies and attempts of an event, as in the body; invoices' bodies have none.
	WebhookID string
	// Copy and Attempt count from 1.
	Copy, Attempt int
	// Status is the answer's status, 0 if there was none, and then Err says why.
	Status int
	Err    string
	// NeverSent tells that the event was lost before it was sent.
	NeverSent bool
	At        time.Time
}

type event struct{ name, id string }

// sender delivers webhooks in the background. A copy of an event waits in a goroutine of its own, so that events
// overtake each other.
type sender struct {
	opts   WebhookOptions
	plan   *faults.Plan
	client *http.Client
	ctx    context.Context //nolint:containedctx // the life of the server
	cancel context.CancelFunc
	slots  chan struct{}

	mu      sync.Mutex
	base    string
	keys    []ed25519.PrivateKey // the last one signs
	log     []Delivery
	pending int
	idle    chan struct{} // closed when pending is 0
}

func (h *sender) start(opts Options, key ed25519.PrivateKey) {
	h.opts, h.plan = opts.Webhooks, opts.Faults
	if h.opts.Events == nil {
		h.opts.Events = DefaultEvents()
	}
	if h.opts.Retries == 0 {
		h.opts.Retries = 6
	}
	if h.opts.RetryInterval == 0 {
		h.opts.RetryInterval = 10 * time.Minute
	}
	if h.opts.Timeout == 0 {
		h.opts.Timeout = 15 * time.Second
	}
	const parallel = 32
	h.client = &http.Client{Timeout: h.opts.Timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: parallel, IdleConnTimeout: time.Minute}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.slots = make(chan struct{}, parallel)
	h.keys = []ed25519.PrivateKey{key}
	h.idle = make(chan struct{})
	close(h.idle)
}

func (h *sender) stop() {
	h.cancel()
	_ = h.wait(context.Background())
	h.client.CloseIdleConnections()
}

func (h *sender) wait(ctx context.Context) error {
	for {
		h.mu.Lock()
		idle, pending := h.idle, h.pending
		h.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("ghl sandbox: %d webhooks are still to be sent: %w", pending, ctx.Err())
		}
	}
}

func (h *sender) begin(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == 0 && n > 0 {
		h.idle = make(chan struct{})
	}
	h.pending += n
}

func (h *sender) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending--; h.pending == 0 {
		close(h.idle)
	}
}

// SetWebhookURL says where webhooks go: an event's path is added, as in {base}/webhooks/ghl/OrderCreate. INSTALL and
// UNINSTALL go to the app's default URL only, which is {base}/webhooks/ghl. Empty, as at first, sends none.
func (s *Server) SetWebhookURL(base string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.base = strings.TrimSuffix(base, "/")
}

// WebhookPublicKey is the PEM of the key that signs now, for GHL_WEBHOOK_PUBLIC_KEYS.
func (s *Server) WebhookPublicKey() string {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return publicPEM(s.hooks.keys[len(s.hooks.keys)-1])
}

// RotateWebhookKey signs with a new key from now on, and returns its PEM.
func (s *Server) RotateWebhookKey() string {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	key := s.key(len(s.hooks.keys))
	s.hooks.keys = append(s.hooks.keys, key)
	return publicPEM(key)
}

func publicPEM(key ed25519.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Sign gives the x-ghl-signature of a body: base64 of an Ed25519 signature over its bytes.
func (s *Server) Sign(body []byte) string {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.hooks.keys[len(s.hooks.keys)-1], body))
}

func (s *Server) sendAll(events []event) {
	for _, e := range events {
		s.send(e.name, e.id)
	}
}

// send delivers an event, if it is one of those to be sent, as the plan has it: in its time, several times, or never.
func (s *Server) send(name, id string) {
	h := &s.hooks
	h.mu.Lock()
	off := h.base == "" || !aboutApp(name) && !slices.Contains(h.opts.Events, name)
	h.mu.Unlock()
	if off {
		return
	}
	s.mu.Lock()
	webhookID := s.newUUID("webhook")
	body := s.webhookBody(name, id, webhookID)
	s.mu.Unlock()
	s.spread(name, id, webhookID, body)
}

// spread sends the copies of an event, each in its time.
func (s *Server) spread(name, id, webhookID string, body []byte) {
	h := &s.hooks
	delays := h.plan.Delivery(webhookID)
	if len(delays) == 0 {
		h.record(Delivery{Event: name, ObjectID: id, WebhookID: webhookID, NeverSent: true})
		return
	}
	h.begin(len(delays))
	for i, delay := range delays {
		go func() {
			defer h.end()
			if h.sleep(delay) {
				s.deliver(h.ctx, Delivery{Event: name, ObjectID: id, WebhookID: webhookID, Copy: i + 1}, body)
			}
		}()
	}
}

// SendEvent delivers an event about an order, invoice, contact or install (by location or company) as it is now, as the plan has it: for news that comes
// once more. It is sent whether or not Options name the event.
func (s *Server) SendEvent(name, objectID string) error {
	s.mu.Lock()
	if !s.known(name, objectID) {
		s.mu.Unlock()
		return fmt.Errorf("%w: %s of %s", ErrUnknown, name, objectID)
	}
	webhookID := s.newUUID("webhook")
	body := s.webhookBody(name, objectID, webhookID)
	s.mu.Unlock()
	s.spread(name, objectID, webhookID, body)
	return nil
}

// WebhookBody is the body that an event would have now, for tests that change it before they send it with SendRaw.
func (s *Server) WebhookBody(name, objectID string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known(name, objectID) {
		return nil, fmt.Errorf("%w: %s of %s", ErrUnknown, name, objectID)
	}
	return s.webhookBody(name, objectID, s.newUUID("webhook")), nil
}

func (s *Server) known(name, id string) bool {
	switch {
	case aboutApp(name):
		_, company := s.companies[id]
		return company || s.locations[id] != nil
	case strings.HasPrefix(name, "Invoice"):
		return s.invoices.byID[id] != nil
	case strings.HasPrefix(name, "Contact"):
		return s.contacts[id] != nil
	default:
		return s.orders.byID[id] != nil
	}
}

// SendRaw signs and delivers a body byte for byte as the event, at once and whatever the plan says, with the published
// retries on 429. It returns the last attempt.
func (s *Server) SendRaw(ctx context.Context, eventName string, body []byte) Delivery {
	return s.deliver(ctx, Delivery{Event: eventName, Copy: 1}, body)
}

// deliver posts until the answer is not 429, or the retries are used up.
func (s *Server) deliver(ctx context.Context, d Delivery, body []byte) Delivery {
	h := &s.hooks
	for d.Attempt = 1; ; d.Attempt++ {
		d.Status, d.Err = s.post(ctx, d.Event, body)
		h.record(d)
		if d.Status != http.StatusTooManyRequests || d.Attempt > h.opts.Retries {
			return d
		}
		jitter := time.Duration(rand.Int64N(int64(h.opts.RetryInterval)/10 + 1)) //nolint:gosec // a jitter
		if !h.sleep(h.opts.RetryInterval + jitter) {
			return d
		}
	}
}

func (s *Server) post(ctx context.Context, eventName string, body []byte) (int, string) {
	h := &s.hooks
	h.slots <- struct{}{}
	defer func() { <-h.slots }()
	h.mu.Lock()
	url := h.base + "/webhooks/ghl"
	h.mu.Unlock()
	if !aboutApp(eventName) {
		url += "/" + eventName
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ghl-Signature", s.Sign(body))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	_ = resp.Body.Close()
	return resp.StatusCode, ""
}

func (h *sender) record(d Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.At = time.Now()
	h.log = append(h.log, d)
}

// sleep waits, and tells whether the server still lives.
func (h *sender) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return h.ctx.Err() == nil
	case <-h.ctx.Done():
		return false
	}
}

// webhookBody is an event's body in its published shape. Invoices' bodies have no envelope.
func (s *Server) webhookBody(name, id, webhookID string) []byte {
	var doc map[string]any
	switch {
	case aboutApp(name):
		doc = s.appEvent(name, id, webhookID)
	case strings.HasPrefix(name, "Invoice"):
		i := s.invoices.byID[id]
		doc = s.invoiceDocument(i, i.Number)
	case strings.HasPrefix(name, "Contact"):
		doc = s.contacts[id].document()
		envelope(doc, name, s.contacts[id].LocationID, webhookID, s.now())
	default:
		o := s.orders.byID[id]
		doc = s.orderDocument(o)
		envelope(doc, name, o.LocationID, webhookID, s.now())
	}
	body, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return body
}

func envelope(doc map[string]any, name, locationID, webhookID string, now time.Time) {
	doc["type"], doc["locationId"] = name, locationID
	doc["timestamp"], doc["webhookId"] = stamp(now), webhookID
}

// aboutApp tells whether an event is one about the app itself, which no app can turn off.
func aboutApp(name string) bool { return name == "INSTALL" || name == "UNINSTALL" }

// appEvent is an INSTALL or UNINSTALL of a location, or of a company.
func (s *Server) appEvent(name, id, webhookID string) map[string]any {
	doc := map[string]any{"type": name, "appId": s.AppID(), "timestamp": stamp(s.now()), "webhookId": webhookID}
	l := s.locations[id]
	if l != nil {
		doc["locationId"] = id
	} else {
		doc["companyId"] = id
	}
	if name == "UNINSTALL" {
		return doc
	}
	doc["versionId"], doc["isWhitelabelCompany"], doc["whitelabelDetails"] = s.opts.App.VersionID, false, map[string]any{}
	if s.opts.App.PlanID != "" {
		doc["planId"] = s.opts.App.PlanID
	}
	if l == nil {
		doc["installType"], doc["companyName"], doc["userId"] = companyType, s.companies[id], installer
		return doc
	}
	doc["installType"], doc["companyId"], doc["companyName"] = locationType, l.company, s.companies[l.company]
	if in := s.oauth.installs[id]; in != nil && in.user != "" {
		doc["userId"] = in.user
	}
	return doc
}
