package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// secrets are what must be in no error, whatever goes wrong.
var secrets = []string{"tok-secret", "ada@example.com", "Lovelace", "pass-secret"}

// vendorAnswer answers everything but the log-in with one answer.
func vendorAnswer(status int, header http.Header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			_, _ = w.Write([]byte(`{"token":"tok-secret"}`))
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// aborts breaks the connection after the request has arrived, except for the log-in.
func aborts(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/login") {
		_, _ = w.Write([]byte(`{"token":"tok-secret"}`))
		return
	}
	panic(http.ErrAbortHandler)
}

// hangs never answers, except for the log-in.
func hangs(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/login") {
		_, _ = w.Write([]byte(`{"token":"tok-secret"}`))
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has given up
	<-r.Context().Done()
}

type limiter struct{ err error }

func (l limiter) Wait(context.Context) error { return l.err }
func (limiter) Observe(int, http.Header)     {}

type tokens struct{ err error }

func (s tokens) Token(context.Context) (string, error) { return "", s.err }

func (tokens) Renew(context.Context, string) (string, error) { return "", ghl.ErrNoRenewal }

// upstream is a vendor that does one thing, and how the clients are set up to it.
type upstream struct {
	handler  http.HandlerFunc
	closed   bool
	readOnly bool
	timeout  time.Duration // a tenth of a second where it is zero
	limiter  transport.Limiter
	tokens   ghl.Credentials
	context  func(context.Context) context.Context
}

func (u upstream) clients(t *testing.T) (*ghl.Client, *sage.Client, context.Context) {
	t.Helper()
	server := httptest.NewServer(u.handler)
	t.Cleanup(server.Close)
	if u.closed {
		server.Close()
	}
	if u.timeout == 0 {
		u.timeout = 100 * time.Millisecond
	}
	if u.limiter == nil {
		u.limiter = limiter{}
	}
	if u.tokens == nil {
		u.tokens = ghl.StaticToken("tok-secret")
	}
	from, err := ghl.New(ghl.Options{BaseURL: server.URL, LocationID: "loc", Credentials: u.tokens,
		Limiter: u.limiter, Timeout: u.timeout, ReadOnly: u.readOnly})
	require.NoError(t, err)
	into, err := sage.New(sage.Options{BaseURL: server.URL, PublicKey: "public", PrivateKey: "pass-secret",
		Limiter: u.limiter, Timeout: u.timeout, ReadOnly: u.readOnly})
	require.NoError(t, err)
	ctx := t.Context()
	if u.context != nil {
		ctx = u.context(ctx)
	}
	return from, into, ctx
}

func readGHL(ctx context.Context, from *ghl.Client, _ *sage.Client) error {
	_, err := from.Orders.Get(ctx, "order1")
	return err
}

func readSage(ctx context.Context, _ *ghl.Client, into *sage.Client) error {
	_, err := into.Accounts.Find(ctx, sage.Eq("email", "ada@example.com"))
	return err
}

func writeSage(ctx context.Context, _ *ghl.Client, into *sage.Client) error {
	name := "Lovelace"
	_, err := into.Accounts.Create(ctx, sage.AccountFields{Name: &name})
	return err
}

// TestEveryFaultHasItsKind drives the clients against each way in which a call can fail.
func TestEveryFaultHasItsKind(t *testing.T) {
	page := "<html><body>Bad gateway for ada@example.com</body></html>"
	seconds := http.Header{"Retry-After": {"7"}}
	refusal := `{"Message":"no for ada@example.com"}`
	cancelled := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	}
	for name, c := range map[string]struct {
		upstream upstream
		call     func(context.Context, *ghl.Client, *sage.Client) error
		kind     Kind
		wait     time.Duration
	}{
		"nobody listens, read":      {upstream{handler: aborts, closed: true}, readGHL, Unavailable, 0},
		"nobody listens, write":     {upstream{handler: aborts, closed: true}, writeSage, Unavailable, 0},
		"line cut, read":            {upstream{handler: aborts}, readSage, Unavailable, 0},
		"line cut, write":           {upstream{handler: aborts}, writeSage, OutcomeUnknown, 3 * time.Second},
		"no answer in time, read":   {upstream{handler: hangs}, readGHL, Unavailable, 0},
		"no answer in time, write":  {upstream{handler: hangs}, writeSage, OutcomeUnknown, 3 * time.Second},
		"step cancelled":            {upstream{handler: hangs, context: cancelled}, readGHL, Unavailable, 0},
		"429 with a time":           {upstream{handler: vendorAnswer(429, seconds, "{}")}, writeSage, Throttled, 7 * time.Second},
		"429 without a time":        {upstream{handler: vendorAnswer(429, nil, "{}")}, readSage, Throttled, time.Second},
		"408, read":                 {upstream{handler: vendorAnswer(408, nil, "{}")}, readSage, Unavailable, 0},
		"408, write":                {upstream{handler: vendorAnswer(408, nil, "{}")}, writeSage, OutcomeUnknown, 3 * time.Second},
		"500, read":                 {upstream{handler: vendorAnswer(500, nil, refusal)}, readGHL, Unavailable, 0},
		"500, write":                {upstream{handler: vendorAnswer(500, nil, refusal)}, writeSage, OutcomeUnknown, 3 * time.Second},
		"502 page, read":            {upstream{handler: vendorAnswer(502, nil, page)}, readGHL, Unavailable, 0},
		"502 page, write":           {upstream{handler: vendorAnswer(502, nil, page)}, writeSage, OutcomeUnknown, 3 * time.Second},
		"503 with a time, read":     {upstream{handler: vendorAnswer(503, seconds, "{}")}, readSage, Unavailable, 7 * time.Second},
		"503 with a time, write":    {upstream{handler: vendorAnswer(503, seconds, "{}")}, writeSage, OutcomeUnknown, 7 * time.Second},
		"504, read":                 {upstream{handler: vendorAnswer(504, nil, "")}, readGHL, Unavailable, 0},
		"redirect, read":            {upstream{handler: vendorAnswer(302, http.Header{"Location": {"/x"}}, "")}, readGHL, Unavailable, 0},
		"redirect, write":           {upstream{handler: vendorAnswer(302, http.Header{"Location": {"/x"}}, "")}, writeSage, OutcomeUnknown, 3 * time.Second},
		"page that says 200, read":  {upstream{handler: vendorAnswer(200, nil, page)}, readGHL, Unknown, 0},
		"page that says 200, write": {upstream{handler: vendorAnswer(200, nil, page)}, writeSage, OutcomeUnknown, 3 * time.Second},
		"cut document, read":        {upstream{handler: vendorAnswer(200, nil, `[{"id":`)}, readSage, Unknown, 0},
		"cut document, write":       {upstream{handler: vendorAnswer(200, nil, `{"Mess`)}, writeSage, OutcomeUnknown, 3 * time.Second},
		"created without an id":     {upstream{handler: vendorAnswer(200, nil, `{"Message":"entity created"}`)}, writeSage, OutcomeUnknown, 3 * time.Second},
		"list that is none":         {upstream{handler: vendorAnswer(200, nil, `{"data":7}`)}, readSage, Unknown, 0},
		"answer without end, read":  {upstream{handler: vendorAnswer(200, nil, strings.Repeat(" ", 33<<20)), timeout: 20 * time.Second}, readSage, Unknown, 0},
		"amount that is none":       {upstream{handler: vendorAnswer(200, nil, `{"_id":"order1","amount":"ada@example.com"}`)}, readGHL, Money, 0},
		"400, read":                 {upstream{handler: vendorAnswer(400, nil, refusal)}, readSage, Invalid, 0},
		"400, write":                {upstream{handler: vendorAnswer(400, nil, refusal)}, writeSage, Invalid, 0},
		"422":                       {upstream{handler: vendorAnswer(422, nil, `{"message":["no"]}`)}, readGHL, Invalid, 0},
		"401, token":                {upstream{handler: vendorAnswer(401, nil, `{"message":"Invalid JWT"}`)}, readGHL, Unauthorized, 0},
		"401, scope":                {upstream{handler: vendorAnswer(401, nil, `{"message":"The token is not authorized for this scope."}`)}, readGHL, Forbidden, 0},
		"401 after a new log-in":    {upstream{handler: vendorAnswer(401, nil, refusal)}, writeSage, Unauthorized, 0},
		"403":                       {upstream{handler: vendorAnswer(403, nil, refusal)}, readGHL, Forbidden, 0},
		"404, object":               {upstream{handler: vendorAnswer(404, nil, `{"message":"Order not found"}`)}, readGHL, NotFound, 0},
		"400, object not found":     {upstream{handler: vendorAnswer(400, nil, `{"message":"Order not found"}`)}, readGHL, NotFound, 0},
		"404, of a proxy":           {upstream{handler: vendorAnswer(404, nil, page)}, readGHL, Invalid, 0},
		"log-in refused, 400":       {upstream{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }}, writeSage, Unauthorized, 0},
		"log-in refused, 401":       {upstream{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }}, readSage, Unauthorized, 0},
		"log-in unavailable":        {upstream{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }}, writeSage, Unavailable, 0},
		"log-in throttled":          {upstream{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }}, writeSage, Throttled, time.Second},
		"log-in cut":                {upstream{handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}, writeSage, Unavailable, 0},
		"no token to send":          {upstream{handler: aborts, tokens: tokens{}}, readGHL, Unauthorized, 0},
		"token not to be had":       {upstream{handler: aborts, tokens: tokens{errors.New("revoked")}}, readGHL, Unauthorized, 0},
		"token waits for the net":   {upstream{handler: aborts, tokens: tokens{&net.OpError{Op: "dial", Err: transport.ErrNoAnswer}}}, readGHL, Unavailable, 0},
		"token out of time":         {upstream{handler: aborts, tokens: tokens{context.DeadlineExceeded}}, readGHL, Unavailable, 0},
		"held back by our limit":    {upstream{handler: aborts, limiter: limiter{&transport.LimitError{RetryAfter: 50 * time.Second, Reason: "spent"}}}, readGHL, Throttled, 50 * time.Second},
		"cancelled in front of it":  {upstream{handler: aborts, limiter: limiter{context.Canceled}}, writeSage, Unavailable, 0},
		"read-only":                 {upstream{handler: aborts, readOnly: true}, writeSage, ReadOnly, 0},
		"call without an id": {upstream{handler: aborts}, func(ctx context.Context, from *ghl.Client, _ *sage.Client) error {
			_, err := from.Orders.Get(ctx, "")
			return err
		}, Invalid, 0},
		"filter that cannot be sent": {upstream{handler: aborts}, func(ctx context.Context, _ *ghl.Client, into *sage.Client) error {
			_, err := into.Accounts.Find(ctx, sage.Eq("email", "a\\b"))
			return err
		}, Invalid, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, into, ctx := c.upstream.clients(t)
			err := c.call(ctx, from, into)
			require.Error(t, err)
			got := applicationError(t, asTemporal(fmt.Errorf("some step: %w", err), 1, 3*time.Second))
			require.Equal(t, string(c.kind), got.Type(), err)
			requireWait(t, c.kind, c.wait, got)
			require.Equal(t, !Rules[c.kind].Retry, got.NonRetryable())
			for _, secret := range secrets {
				require.NotContains(t, got.Error(), secret)
			}
		})
	}
}

// TestFaultsOfOurOwnHaveTheirKind covers what comes from the domain, the store and the steps themselves.
func TestFaultsOfOurOwnHaveTheirKind(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		kind Kind
	}{
		"money":                          {fmt.Errorf("the amount: %w", domain.ErrMoney), Money},
		"mapping":                        {fmt.Errorf("resolve: %w", &sage.MappingError{What: "branch", Variable: "SAGE_BRANCH_ID"}), Mapping},
		"a fault":                        {fmt.Errorf("wrapped: %w", faultf(Conflict, "choose")), Conflict},
		"a connection that is refused":   {fmt.Errorf("token: %w", &Fault{Kind: Reconnect, Words: "connect it again"}), Reconnect},
		"a connection that is paused":    {faultf(Paused, "resume it"), Paused},
		"a message, throttled":           {fmt.Errorf("tell: %w", &notify.Error{Status: 429}), Throttled},
		"a message, refused":             {&notify.Error{Status: 404}, Invalid},
		"a message, unanswered":          {&notify.Error{Err: io.ErrUnexpectedEOF}, Unavailable},
		"a message, answered by a fault": {&notify.Error{Status: 502}, Unavailable},
		"a fault, settling":              {settleError{faultf(Busy, "wait"), time.Hour}, Busy},
		"a record that another changed":  {fmt.Errorf("keep: %w", store.ErrChanged), Busy},
		"deadline":                       {fmt.Errorf("store: %w", context.DeadlineExceeded), Unavailable},
		"cancelled":                      {context.Canceled, Unavailable},
		"anything else":                  {errors.New("disk full"), Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got := applicationError(t, asTemporal(c.err, 1, 0))
			require.Equal(t, string(c.kind), got.Type())
			require.Equal(t, !Rules[c.kind].Retry, got.NonRetryable())
		})
	}
	require.NoError(t, asTemporal(nil, 1, 0))
	require.Contains(t, faultOf(errors.New("disk full")).Error(), "unforeseen", "an unknown fault says so")
	require.Contains(t, faultOf(&sage.MappingError{What: "branch", Variable: "SAGE_BRANCH_ID"}).Error(), "SAGE_BRANCH_ID")
}

// TestTheTableOfFaults pins what is done about each kind, one row per line of the table.
func TestTheTableOfFaults(t *testing.T) {
	rows := []struct {
		kind     Kind
		retry    bool
		attempts int32
		wait     time.Duration
		heals    bool
		tell     Audience
	}{
		{Throttled, true, 0, time.Second, false, Nobody},
		{Unavailable, true, 0, 0, false, Nobody},
		{OutcomeUnknown, true, 0, 2 * time.Second, false, Nobody},
		{Unauthorized, true, 6, 0, true, Operator},
		{Forbidden, true, 6, 0, true, Operator},
		{NotFound, true, 8, 0, true, Operator},
		{Invalid, false, 0, 0, false, Operator},
		{Conflict, false, 0, 0, false, Operator},
		{Mapping, false, 0, 0, true, Operator},
		{Money, false, 0, 0, false, Operator},
		{ReadOnly, false, 0, 0, true, Operator},
		{Busy, true, 0, 500 * time.Millisecond, false, Nobody},
		{Mismatch, true, 5, 0, true, Operator},
		{StaleCustomer, false, 0, 0, true, Nobody},
		{Reconnect, false, 0, 0, true, Nobody},
		{Paused, false, 0, 0, true, Nobody},
		{Unknown, true, 50, 0, true, Operator},
	}
	require.Len(t, rows, len(Rules), "every kind has a row here")
	for _, row := range rows {
		t.Run(string(row.kind), func(t *testing.T) {
			fault := &Fault{Kind: row.kind, Words: "words", Candidates: []int64{4, 9}}
			first := applicationError(t, asTemporal(fault, 1, 0))
			require.Equal(t, row.retry, !first.NonRetryable())
			requireWait(t, row.kind, row.wait, first)
			benign := temporal.ApplicationErrorCategoryUnspecified
			if row.tell == Nobody {
				benign = temporal.ApplicationErrorCategoryBenign
			}
			require.Equal(t, benign, first.Category())
			require.Equal(t, row.tell, Rules[row.kind].Tell)
			var details FaultDetails
			require.NoError(t, first.Details(&details))
			require.Equal(t, FaultDetails{Candidates: []int64{4, 9}, Heals: row.heals}, details)
			if row.retry && row.attempts > 0 {
				require.False(t, applicationError(t, asTemporal(fault, row.attempts-1, 0)).NonRetryable())
				require.True(t, applicationError(t, asTemporal(fault, row.attempts, 0)).NonRetryable())
			}
			if row.retry && row.attempts == 0 {
				require.False(t, applicationError(t, asTemporal(fault, 1_000_000, 0)).NonRetryable())
			}
		})
	}
}

// TestTheWaitsOfACrowdAreSpread: those who wait for the same thing come back at different moments, none before it is time,
// and the longer the more often they were sent away.
func TestTheWaitsOfACrowdAreSpread(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		told    time.Duration
		attempt int32
		most    time.Duration
	}{
		{Throttled, 10 * time.Minute, 1, time.Minute},
		{Throttled, 20 * time.Hour, 1, mostSpread},
		{Throttled, 20 * time.Hour, 90, mostSpread},
		{Throttled, 5 * time.Second, 1, 5 * time.Second},
		{Throttled, 0, 4, 8 * time.Second},
		{Busy, 0, 3, 2 * time.Second},
		{Busy, 0, 1_000_000, longestBackOff},
	} {
		first, seen, longest := max(Rules[c.kind].Wait, c.told), map[time.Duration]bool{}, time.Duration(0)
		for range 200 {
			wait := applicationError(t, asTemporal(&Fault{Kind: c.kind, Wait: c.told}, c.attempt, 0)).NextRetryDelay()
			require.GreaterOrEqual(t, wait, first)
			require.LessOrEqual(t, wait, first+c.most)
			seen[wait], longest = true, max(longest, wait)
		}
		require.Greater(t, len(seen), 150)
		require.Greater(t, longest, first+c.most/2, "%s told %s, attempt %d", c.kind, c.told, c.attempt)
	}
	unavailable := applicationError(t, asTemporal(&Fault{Kind: Unavailable, Wait: time.Hour}, 3, 0))
	require.Equal(t, time.Hour, unavailable.NextRetryDelay(), "one that waits for nobody else's turn")
}

// requireWait wants the wait to be kept as told. What is added for a crowd has a test of its own.
func requireWait(t *testing.T, kind Kind, want time.Duration, got *temporal.ApplicationError) {
	t.Helper()
	if Rules[kind].Crowd {
		require.GreaterOrEqual(t, got.NextRetryDelay(), want)
		return
	}
	require.Equal(t, want, got.NextRetryDelay())
}

func applicationError(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var got *temporal.ApplicationError
	require.ErrorAs(t, err, &got)
	return got
}
