package sage

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tallystick/tallystick/sandbox/counter"
	"github.com/tallystick/tallystick/sandbox/faults"
)

// BasePath is the path under which the API is served.
const BasePath = "/api/v4"

// User is somebody who works in Sage. One with keys can log in to the API.
type User struct {
	ID                  int64
	FirstName, LastName string
	Email               string
	// ExtID is the user's id in another system, which rows of /sales name.
	ExtID                string
	PublicKey, SecretKey string
}

// Options say how the server behaves. The zero value is a tenant as the vendor documents it, without a rate limit, with
// all extra fields that Tallystick uses.
type Options struct {
	// Users replaces DefaultUsers. The first is the API's, the second the one that the People functions act for.
	Users []User
	// SessionLife is how long a token lasts; one hour where it is zero. Public sources say anything from 1 h to 24 h.
	SessionLife time.Duration
	// RequestsPerSecond is the plan's limit, 4 or 13 as documented; none where it is zero.
	RequestsPerSecond float64
	// RetryAfter is how a request over the limit is told to wait. The vendor documents nothing (A43).
	RetryAfter faults.RetryAfter
	// ExtraFields replaces DefaultExtraFields; an empty slice that is not nil is a tenant without any.
	ExtraFields []ExtraField
	// Branches and Statuses replace the default ones, for tenants with more than one choice.
	Branches []string
	Statuses []Status
	// ClockOffset is what the server's dates are off from UTC by, although they end in Z.
	ClockOffset time.Duration
	// LineBumpsOrder makes a change of a line an update of its order. Whether it is one is not documented (A71).
	LineBumpsOrder bool
	// OpportunityStatuses replace the default ones.
	OpportunityStatuses []OpportunityStatus
	// ActivityTypes replaces the one default activity type, for tenants with more than one choice.
	ActivityTypes []string
	// Unfilterable are fields that a where clause may not name, as "activities.comment", or not with one operator, as
	// "salesorders.extId LIKE": that is error 901. What can be filtered by is documented for few fields (A110, A111).
	Unfilterable []string
	// IgnoreActivityExtID drops the extId of an activity that is written, as it is not documented that it can be (A112).
	IgnoreActivityExtID bool
	// DeleteBumps makes a deletion move dateUpdated too. Whether it does is not documented (A110).
	DeleteBumps bool
	// CalendarDate is the only form in which dates of the calendar may be written, as a layout of package time; any of the
	// known ones where it is empty. The documents do not say (A114).
	CalendarDate string
	// RefuseNegativeTotals refuses rows of /sales with a total below 0. Whether Sage does is not documented (A138).
	RefuseNegativeTotals bool
	// Hooks say how hooks are sent.
	Hooks HookOptions
	// Faults is asked what goes wrong; nil is nothing.
	Faults *faults.Plan
	// OnWrite is told of every write the moment it is committed; nil tells nobody. It must return soon and call nothing of
	// the server, which it holds up.
	OnWrite func(Write)
	// Now replaces the clock.
	Now func() time.Time
}

// Status is a sales order status of the tenant.
type Status struct {
	Name      string
	Won, Lost bool
}

// OpportunityStatus is a stage of opportunities. The vendor's sample of a final one has won 1 and endStatus true.
type OpportunityStatus struct {
	Name      string
	Won       int64
	EndStatus bool
}

// Server is the tenant. It is an http.Handler for BasePath and safe for use from many goroutines.
type Server struct {
	opts Options

	mu       sync.RWMutex
	tables   map[string]*table // by lower case resource name
	writes   []Write
	sessions map[string]session
	logins   int64
	hooks    []*hook
	sender   sender

	counter.Requests

	limitMu sync.RWMutex
	limiter *rate.Limiter

	listener net.Listener
	http     *http.Server
}

// New makes a tenant with its value lists and users, and no customers. It serves once a listener is there: see Start.
func New(opts Options) *Server {
	if opts.Users == nil {
		opts.Users = DefaultUsers()
	}
	if opts.SessionLife == 0 {
		opts.SessionLife = time.Hour
	}
	if opts.ExtraFields == nil {
		opts.ExtraFields = append(DefaultExtraFields(), SubscriptionExtraFields()...)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{opts: opts, tables: map[string]*table{}, sessions: map[string]session{}}
	s.SetLimit(opts.RequestsPerSecond)
	s.sender.start(opts)
	s.makeTables()
	s.fill()
	return s
}

func (s *Server) makeTables() {
	// Different first ids, so that an id of one resource taken for that of another is found out.
	first := int64(100)
	for _, r := range resources() {
		s.tables[strings.ToLower(r.name)] = newTable(r, first)
		first += 1000
		if r.extra {
			definitions := extraFieldDefinitions(r.name)
			s.tables[strings.ToLower(definitions.name)] = newTable(definitions, first)
			first += 1000
		}
	}
	for _, entry := range s.opts.Unfilterable {
		name, what, _ := strings.Cut(strings.ToLower(entry), ".")
		t := s.table(name)
		if t.unfilterable == nil {
			t.unfilterable = map[string]bool{}
		}
		t.unfilterable[what] = true
	}
	if s.opts.CalendarDate != "" {
		for _, f := range s.table("calendar").fields {
			if f.typ == typeDay {
				f.layouts = []string{s.opts.CalendarDate}
			}
		}
	}
}

// Start serves on a free loopback port until Close.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("sage sandbox: no loopback port to listen on: %w", err)
	}
	s.listener = listener
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return nil
}

// URL is the base URL for SAGE_BASE_URL, such as "http://127.0.0.1:41234/api/v4". Call it after Start.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + BasePath }

// Close ends serving, waits for writes that were to commit late, and drops the hooks that are still to be sent.
func (s *Server) Close() {
	if s.http != nil {
		_ = s.http.Close()
	}
	s.opts.Faults.Wait()
	s.sender.stop()
}

// Keys are the API user's public and secret key.
func (s *Server) Keys() (public, secret string) {
	return s.opts.Users[0].PublicKey, s.opts.Users[0].SecretKey
}

// APIUser is the id of the user that the keys belong to.
func (s *Server) APIUser() int64 { return s.opts.Users[0].ID }

// Person is the id of the user that the People functions act for.
func (s *Server) Person() int64 { return s.opts.Users[1].ID }

// SetLimit sets the requests per second that are let through, with a burst of as many; 0 takes the limit away.
func (s *Server) SetLimit(perSecond float64) {
	s.limitMu.Lock()
	defer s.limitMu.Unlock()
	s.limiter = nil
	if perSecond > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
	}
}

func (s *Server) overLimit() bool {
	s.limitMu.RLock()
	defer s.limitMu.RUnlock()
	return s.limiter != nil && !s.limiter.Allow()
}

// now is the tenant's wall clock, to the millisecond, as dates are stored and shown.
func (s *Server) now() time.Time {
	return s.opts.Now().UTC().Add(s.opts.ClockOffset).Truncate(time.Millisecond)
}

func (s *Server) table(name string) *table { return s.tables[strings.ToLower(name)] }

// labelOf is what a reference shows of the row it points to. Deleted rows still show.
func (s *Server) labelOf(tableName string, id int64) string {
	t := s.table(tableName)
	r := t.rows[id]
	if r == nil {
		return ""
	}
	parts := make([]string, 0, 2)
	for _, name := range t.resource.label {
		if p := r.text(name); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}
