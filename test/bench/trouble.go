package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// Two locations, of which one gets into trouble.
const (
	aloneLow  kind = "d: the other one has nothing to do"
	besideLow kind = "d: the other one broken and flooded"

	troubled      = "Troubled0Location0Id"
	troubledToken = "pit-troubled"
	// floodFirst payments come at once when the trouble begins, and then one every floodEvery as long as it lasts.
	floodFirst = 300
	floodEvery = 200 * time.Millisecond
)

// besideTrouble measures how long a healthy location's payments take, one at a time, while another location of the same
// worker has nothing to do, and while that one is flooded with payments and its Sage tenant answers nothing.
func (b *benchmark) besideTrouble(ctx context.Context) (err error) {
	if !b.wants(onlyTrouble) {
		return nil
	}
	healthy, other, err := b.openTwo(ctx)
	if other != nil {
		defer other.tenant.close()
	}
	if healthy != nil {
		defer func() { err = errors.Join(err, healthy.stack.Stop(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	b.results.beside = map[kind]round{}
	if err := b.oneAtATime(ctx, aloneLow, healthy); err != nil {
		return err
	}
	other.tenant.fallSilent()
	flood := other.flood(ctx, b.flooded)
	err = flood.begun(ctx)
	if err == nil {
		err = b.oneAtATime(ctx, besideLow, healthy)
	}
	if err = errors.Join(err, flood.stop()); err != nil {
		return err
	}
	b.results.flooded = len(flood.jobs)
	b.say("the tenant answers again, and %d payments are to be done", len(flood.jobs))
	other.tenant.speak()
	return errors.Join(flood.follow(ctx), atRest(ctx, healthy.stack.Temporal),
		healthy.apart(healthy.stack.Sage, other.tenant.Server), other.apart(other.tenant.Server, healthy.stack.Sage))
}

// oneAtATime measures a kind.
func (b *benchmark) oneAtATime(ctx context.Context, k kind, m *market) (err error) {
	b.say("%s, for %s", k, 2*b.window)
	r := round{meter: newMeter(m.processes(b.ours.stack.Server.PID()))}
	l := load{inFlight: 1, warmUp: b.warmUp(), window: 2 * b.window, next: m.known, began: r.meter.begin, ended: r.meter.finish}
	if r.measured, err = l.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	b.results.beside[k] = r
	return nil
}

// openTwo starts the product with two locations.
func (b *benchmark) openTwo(ctx context.Context) (healthy *market, other *troubledMarket, err error) {
	const namespace = "trouble"
	if err := newNamespace(ctx, b.ours.stack.TemporalAddress, namespace); err != nil {
		return nil, nil, err
	}
	healthy, err = openMarket(ctx, marketOptions{customers: b.buyers, stack: stack.Options{
		Dir: filepath.Join(b.dir, namespace), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL:      ghl.Options{NoLimits: true},
		Temporal: stack.Temporal{Address: b.ours.stack.TemporalAddress, Namespace: namespace},
	}})
	if err != nil {
		return healthy, nil, err
	}
	other = &troubledMarket{market: newMarket()}
	other.stack, other.location = healthy.stack, healthy.stack.GHL.In(troubled)
	if other.tenant, err = newTenant(sage.Options{OnWrite: other.written}); err != nil {
		return healthy, nil, err
	}
	healthy.stack.GHL.AddLocation(troubled, troubledToken)
	if err := b.connect(ctx, healthy.stack, other.tenant); err != nil {
		return healthy, other, err
	}
	other.stock()
	other.customers = []string{other.newCustomer()}
	return healthy, other, other.introduce(ctx, other.customers, len(other.prices))
}

// connect connects the other location with its tenant, and waits until everything has followed.
func (b *benchmark) connect(ctx context.Context, s *stack.Stack, t *tenant) error {
	public, private := t.Keys()
	cmd := exec.CommandContext(ctx, b.starter, "connect", "add", troubled, "--env-file", "-")
	cmd.Env = os.Environ()
	for name, value := range s.Settings() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = strings.NewReader(strings.Join([]string{
		"GHL_PRIVATE_TOKEN=" + troubledToken, "SAGE_BASE_URL=" + t.url, "SAGE_PUBLIC_KEY=" + public, "SAGE_PRIVATE_KEY=" + private,
		fmt.Sprintf("SAGE_SALES_REP_ID=%d", t.APIUser()), "SAGE_REQUESTS_PER_SECOND=1000", "SAGE_SETTLE_DELAY=500ms",
	}, "\n"))
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("connect a second location: %w: %s", err, &printed)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the second location does not become active"))
	defer cancel()
	for {
		c, _, err := s.Store.Connection(ctx, troubled)
		if err != nil {
			return fmt.Errorf("look at the second location: %w", err)
		}
		if c.State == store.Active && c.Settled == c.Version {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// troubledMarket is a location with a tenant of its own, which may fall silent.
type troubledMarket struct {
	*market
	tenant *tenant
}

// apart checks that each payment of a location is in its own tenant once, and in the other's not at all.
func (m *market) apart(own, others *sage.Server) error {
	for _, order := range m.location.Orders() {
		id := domain.OrderExtID(order.ID)
		if mine, theirs := len(own.OrdersByExtID(id)), len(others.OrdersByExtID(id)); mine != 1 || theirs != 0 {
			return fmt.Errorf("order %s is %d times in its own tenant and %d times in the other one's", order.ID, mine, theirs)
		}
	}
	return nil
}

// tenant is a Sage tenant with a server of its own, which can leave calls without any answer.
type tenant struct {
	*sage.Server
	url  string
	http *http.Server

	mu   sync.Mutex
	over chan struct{} // closed when the silence is; nil if there is none
}

func newTenant(o sage.Options) (*tenant, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as a second tenant: %w", err)
	}
	t := &tenant{Server: sage.New(o), url: "http://" + listener.Addr().String() + sage.BasePath}
	t.http = &http.Server{Handler: http.HandlerFunc(t.answer), ReadHeaderTimeout: time.Minute}
	go func() { _ = t.http.Serve(listener) }() // ends by close
	return t, nil
}

func (t *tenant) answer(w http.ResponseWriter, r *http.Request) {
	// The caller's going away is noticed only after its body was read, and what nobody waits for must not be done.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	if over != nil {
		select {
		case <-over:
		case <-r.Context().Done():
			return
		}
	}
	t.ServeHTTP(w, r)
}

// fallSilent leaves every call without an answer until speak.
func (t *tenant) fallSilent() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = make(chan struct{})
}

func (t *tenant) speak() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over != nil {
		close(t.over)
		t.over = nil
	}
}

func (t *tenant) close() {
	t.speak()
	_ = t.http.Close()
	t.Close()
}

// flood is a stream of payments that nobody waits for yet.
type flood struct {
	first chan struct{} // closed when the first lot is sent
	over  chan struct{}
	ended chan error
	jobs  []job // to be read when ended
}

// flood sends so many payments at once, and then one after another until it is stopped.
func (m *market) flood(ctx context.Context, first int) *flood {
	f := &flood{first: make(chan struct{}), over: make(chan struct{}), ended: make(chan error, 1)}
	go func() { f.ended <- f.send(ctx, m.known, first) }()
	return f
}

func (f *flood) send(ctx context.Context, next func() job, first int) error {
	tick := time.NewTicker(floodEvery)
	defer tick.Stop()
	for {
		if len(f.jobs) == first {
			close(f.first)
		}
		if len(f.jobs) >= first {
			select {
			case <-f.over:
				return nil
			case <-tick.C:
			}
		}
		j := next()
		if j.fault == nil {
			j.fault = j.send(ctx)
		}
		if j.fault != nil {
			return fmt.Errorf("flood a location: %w", j.fault)
		}
		f.jobs = append(f.jobs, j)
	}
}

// begun waits until the first lot is sent.
func (f *flood) begun(ctx context.Context) error {
	select {
	case <-f.first:
		return nil
	case err := <-f.ended:
		f.ended <- err
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *flood) stop() error {
	close(f.over)
	return <-f.ended
}

// follow waits until everything that was sent is in the books.
func (f *flood) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("what a location in trouble has left to do is not done"))
	defer cancel()
	for _, j := range f.jobs {
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
