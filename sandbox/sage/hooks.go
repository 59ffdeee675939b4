package sage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// HookOptions say how hooks are sent. The vendor documents their bodies and nothing else: not how the secret key is
// presented (A116), and neither retries nor order (A117). Where the zero value is used each is sent once, at once, with
// no secret; what goes wrong by chance, as that one is lost, doubled or late, is the fault plan's.
type HookOptions struct {
	// Retries is how often a delivery that was not answered 2xx is tried again, RetryInterval the time between.
	Retries       int
	RetryInterval time.Duration
	// SecretHeader is the header in which a hook's secret key is sent; none where it is empty.
	SecretHeader string
	// Timeout bounds one delivery; 15 seconds where it is zero.
	Timeout time.Duration
}

// hookEntities are the entities that a hook can be about, and the resources behind them.
var hookEntities = map[string]string{
	"account": "accounts", "contact": "contacts", "opportunity": "opportunities", "activity": "activities",
	"calendar": "calendar", "salesorder": "salesorders",
}

// hookActions are the actions of a hook, and the writes that they tell of.
var hookActions = map[string]string{"insert": "create", "update": "update", "delete": "delete"}

// hook is a registered hook in the shape it is read in, which has names of its own.
type hook struct {
	Action      string  `json:"action"`
	DateCreated string  `json:"date_created"`
	DateDeleted *string `json:"date_deleted"`
	DateUpdated *string `json:"date_updated"`
	Deleted     bool    `json:"deleted"`
	Entity      string  `json:"entity"`
	ID          int64   `json:"id"`
	Name        string  `json:"name"`
	SecretKey   string  `json:"secret_key"`
	URL         string  `json:"url"`
	UserCreated int64   `json:"user_created"`
	UserDeleted *int64  `json:"user_deleted"`
	UserUpdated *int64  `json:"user_updated"`
	Version     int     `json:"version"`
}

// Hook is a registered hook, for tests to look at.
type Hook struct {
	ID                        int64
	Name, Entity, Action, URL string
	SecretKey                 string
	Deleted                   bool
}

// HookDelivery is one attempt to send a hook, or one that was never sent.
type HookDelivery struct {
	HookID         int64
	Entity, Action string
	// ID is the record's, Body the JSON array that was sent.
	ID   int64
	Body string
	// Copy and Attempt count from 1.
	Copy, Attempt int
	// Status is the answer's status, 0 if there was none, and then Err says why.
	Status int
	Err    string
	// NeverSent tells that it was lost before it was sent.
	NeverSent bool
	At        time.Time
}

// Hooks gives the live hooks by id.
func (s *Server) Hooks() []Hook {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var live []Hook
	for _, h := range s.hooks {
		if !h.Deleted {
			live = append(live, Hook{ID: h.ID, Name: h.Name, Entity: h.Entity, Action: h.Action, URL: h.URL,
				SecretKey: h.SecretKey})
		}
	}
	return live
}

// HookDeliveries gives every attempt to send a hook since the start, in the order in which they ended.
func (s *Server) HookDeliveries() []HookDelivery {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	return slices.Clone(s.sender.log)
}

// WaitHooks returns when all hooks of the writes so far are sent, or an error if the context ends first.
func (s *Server) WaitHooks(ctx context.Context) error { return s.sender.wait(ctx) }

// serveHooks answers /hooks and /hooks/{id}. The documents show no where and no order, and a Count in the query.
func (s *Server) serveHooks(w http.ResponseWriter, r *http.Request, at route, by actor) {
	switch at.verb {
	case "list":
		s.listHooks(w, r)
	case "get":
		if h := s.findHook(at.id); h != nil {
			answerJSON(w, h)
			return
		}
		answerError(w, http.StatusBadRequest, "The entity does not exist", 0)
	case "create":
		s.createHook(w, r, by)
	case "delete":
		if !s.deleteHook(at.id, by) {
			answerError(w, http.StatusBadRequest, "The entity does not exist", 0)
			return
		}
		answerBytes(w, []byte(`{"Message":"entity deleted"}`))
	default:
		answerError(w, http.StatusMethodNotAllowed, "The requested resource does not support http method '"+r.Method+"'.", 0)
	}
}

func (s *Server) findHook(id int64) *hook {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.hooks {
		if h.ID == id {
			found := *h
			return &found
		}
	}
	return nil
}

func (s *Server) listHooks(w http.ResponseWriter, r *http.Request) {
	number := func(texts ...string) int {
		for _, text := range texts {
			if n, err := strconv.Atoi(text); err == nil && n >= 0 {
				return n
			}
		}
		return 0
	}
	size := min(max(number(r.Header.Get("Count"), r.URL.Query().Get("Count"), strconv.Itoa(defaultPage)), 1), maxPage)
	s.mu.RLock()
	defer s.mu.RUnlock()
	from := min(number(r.URL.Query().Get("page"))*size, len(s.hooks))
	page := make([]hook, 0, size)
	for _, h := range s.hooks[from:min(from+size, len(s.hooks))] {
		page = append(page, *h)
	}
	answerJSON(w, page)
}

// createHook answers with the hook, not with a message as other resources do.
func (s *Server) createHook(w http.ResponseWriter, r *http.Request, by actor) {
	var in struct{ Name, Action, Entity, URL string }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&in); err != nil {
		answerError(w, http.StatusBadRequest, "The request body is not a JSON object", 0)
		return
	}
	entity, action := strings.ToLower(in.Entity), strings.ToLower(in.Action)
	if in.Name == "" || in.URL == "" || hookEntities[entity] == "" || hookActions[action] == "" {
		answerError(w, http.StatusBadRequest, "name, action, entity and url are required", 0)
		return
	}
	s.mu.Lock()
	now := s.now()
	h := &hook{Action: action, DateCreated: showDate(now), Entity: entity, ID: int64(len(s.hooks) + 1), Name: in.Name,
		URL: in.URL, UserCreated: by.userID, Version: 4}
	h.SecretKey = fmt.Sprintf("8B38C9CA-EAEA-4300-ABBB-%012X", 0x89E6D87B6EC6+h.ID)
	s.hooks = append(s.hooks, h)
	s.logHook("create", h.ID, []string{"action", "entity", "name", "url"}, by, now)
	answer := *h
	s.mu.Unlock()
	answerJSON(w, answer)
}

func (s *Server) deleteHook(id int64, by actor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if h.ID == id && !h.Deleted {
			now := s.now()
			text := showDate(now)
			h.Deleted, h.DateDeleted, h.UserDeleted = true, &text, &by.userID
			s.logHook("delete", id, nil, by, now)
			return true
		}
	}
	return false
}

func (s *Server) logHook(verb string, id int64, fields []string, by actor, now time.Time) {
	s.writes = append(s.writes, Write{Op: "sage.hooks." + verb, Resource: "hooks", ID: id, UserID: by.userID,
		ByPeople: by.byPeople, Fields: fields, At: now})
}

// fire sends a committed write, by whomever, to the hooks that are about it. The lock is held, so the body is the record
// as of that write.
func (s *Server) fire(verb string, t *table, row *record) {
	for _, h := range s.hooks {
		if h.Deleted || hookActions[h.Action] != verb || hookEntities[h.Entity] != strings.ToLower(t.resource.name) {
			continue
		}
		body := append(s.appendRecord([]byte{'['}, t, row, false), ']')
		s.sender.spread(*h, row.id, body)
	}
}

// sender delivers hooks in the background. A copy waits in a goroutine of its own, so that hooks overtake each other.
type sender struct {
	opts   HookOptions
	plan   *faults.Plan
	client *http.Client
	ctx    context.Context //nolint:containedctx // the life of the server
	cancel context.CancelFunc
	slots  chan struct{}

	mu      sync.Mutex
	sent    int
	log     []HookDelivery
	pending int
	idle    chan struct{} // closed when pending is 0
}

func (d *sender) start(opts Options) {
	d.opts, d.plan = opts.Hooks, opts.Faults
	if d.opts.Timeout == 0 {
		d.opts.Timeout = 15 * time.Second
	}
	const parallel = 16
	d.client = &http.Client{Timeout: d.opts.Timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: parallel, IdleConnTimeout: time.Minute}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.slots = make(chan struct{}, parallel)
	d.idle = make(chan struct{})
	close(d.idle)
}

func (d *sender) stop() {
	d.cancel()
	_ = d.wait(context.Background())
	d.client.CloseIdleConnections()
}

func (d *sender) wait(ctx context.Context) error {
	for {
		d.mu.Lock()
		idle, pending := d.idle, d.pending
		d.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("sage sandbox: %d hooks are still to be sent: %w", pending, ctx.Err())
		}
	}
}

// spread sends the copies of one hook, each in its time, or none.
func (d *sender) spread(h hook, id int64, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent++
	told := HookDelivery{HookID: h.ID, Entity: h.Entity, Action: h.Action, ID: id, Body: string(body)}
	delays := d.plan.Delivery("sage hook " + strconv.Itoa(d.sent))
	if len(delays) == 0 {
		told.NeverSent, told.At = true, time.Now()
		d.log = append(d.log, told)
		return
	}
	if d.pending == 0 {
		d.idle = make(chan struct{})
	}
	d.pending += len(delays)
	for i, delay := range delays {
		one := told
		one.Copy = i + 1
		go func() {
			defer d.end()
			if d.sleep(delay) {
				d.deliver(h, one, body)
			}
		}()
	}
}

func (d *sender) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending--; d.pending == 0 {
		close(d.idle)
	}
}

func (d *sender) deliver(h hook, told HookDelivery, body []byte) {
	for told.Attempt = 1; ; told.Attempt++ {
		told.Status, told.Err = d.post(h, body)
		told.At = time.Now()
		d.mu.Lock()
		d.log = append(d.log, told)
		d.mu.Unlock()
		if told.Status/100 == 2 || told.Attempt > d.opts.Retries || !d.sleep(d.opts.RetryInterval) {
			return
		}
	}
}

func (d *sender) post(h hook, body []byte) (int, string) {
	d.slots <- struct{}{}
	defer func() { <-d.slots }()
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	if d.opts.SecretHeader != "" {
		req.Header.Set(d.opts.SecretHeader, h.SecretKey)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	_ = resp.Body.Close()
	return resp.StatusCode, ""
}

// sleep waits, and tells whether the server still lives.
func (d *sender) sleep(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return d.ctx.Err() == nil
	case <-d.ctx.Done():
		return false
	}
}
