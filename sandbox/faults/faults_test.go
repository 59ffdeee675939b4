package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// world is a server behind a plan that counts what it has really done.
type world struct {
	plan *faults.Plan
	done atomic.Int64
	url  string
}

func newWorld(t *testing.T, plan *faults.Plan) *world {
	w := &world{plan: plan}
	work := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "order" {
			http.Error(rw, "the body is lost", http.StatusBadRequest)
			return
		}
		w.done.Add(1)
		_, _ = io.WriteString(rw, `{"Message":"entity created","id":35}`)
	})
	refuse := func(rw http.ResponseWriter, _ *http.Request, f faults.Fault) {
		status := f.Status
		switch f.Kind {
		case faults.Throttle:
			status = http.StatusTooManyRequests
		case faults.StaleToken:
			status = http.StatusUnauthorized
		}
		http.Error(rw, "refused", status)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		plan.Serve("sage.salesorders.create", rw, r, work, refuse)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(plan.Wait)
	w.url = server.URL
	return w
}

func (w *world) post(t *testing.T, timeout time.Duration) (int, http.Header, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, stringBody("order"))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body), err
}

func stringBody(s string) io.Reader {
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, s); _ = w.Close() }()
	return r
}

func TestACutLooksTheSameWhetherTheWriteIsDoneOrNot(t *testing.T) {
	for _, c := range []struct {
		kind faults.Kind
		done int64
	}{{faults.CutBefore, 0}, {faults.CutAfter, 1}} {
		t.Run(string(c.kind), func(t *testing.T) {
			w := newWorld(t, faults.NewPlan(1, faults.None))
			w.plan.Next("sage.salesorders.create", faults.Fault{Kind: c.kind})
			_, _, _, err := w.post(t, 10*time.Second)
			require.Error(t, err)
			require.Equal(t, c.done, w.done.Load())
			require.Equal(t, map[string]map[faults.Kind]int{"sage.salesorders.create": {c.kind: 1}}, w.plan.Injected())
			status, _, _, err := w.post(t, 10*time.Second)
			require.NoError(t, err)
			require.Equal(t, 200, status)
		})
	}
}

func TestALateCommitLandsAfterTheLineIsCut(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Next("sage.salesorders.create", faults.Fault{Kind: faults.LateCommit, Delay: 100 * time.Millisecond})
	start := time.Now()
	_, _, _, err := w.post(t, 10*time.Second)
	require.Error(t, err)
	require.Zero(t, w.done.Load(), "the commit must come after the cut")
	w.plan.Wait()
	require.Equal(t, int64(1), w.done.Load())
	require.GreaterOrEqual(t, time.Since(start), 100*time.Millisecond)
}

func TestAnAnswerTooLateIsDoneAllTheSame(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Next("sage.salesorders.create", faults.Fault{Kind: faults.AnswerLate, Delay: time.Hour})
	_, _, _, err := w.post(t, 100*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, int64(1), w.done.Load())
}

func TestLatencyDelaysTheWork(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Next("sage.salesorders.create", faults.Fault{Kind: faults.Latency, Delay: 30 * time.Millisecond})
	start := time.Now()
	status, _, _, err := w.post(t, 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond)
}

func TestRefusalsDoNothing(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Next("sage.salesorders.create",
		faults.Fault{Kind: faults.Status, Status: 400, Body: `{"code":900}`},
		faults.Fault{Kind: faults.Status},
		faults.Fault{Kind: faults.StaleToken},
		faults.Fault{Kind: faults.HTMLPage},
		faults.Fault{Kind: faults.Throttle},
		faults.Fault{Kind: faults.Throttle, RetryAfter: faults.RetryAfterSeconds, Delay: 1500 * time.Millisecond},
		faults.Fault{Kind: faults.Throttle, RetryAfter: faults.RetryAfterDate, Delay: 3 * time.Second})
	for i, want := range []int{400, 503, 401, 502, 429, 429, 429} {
		status, header, body, err := w.post(t, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, want, status, "refusal %d", i)
		switch i {
		case 0:
			require.Equal(t, `{"code":900}`, body)
		case 3:
			require.Contains(t, header.Get("Content-Type"), "text/html")
		case 4:
			require.Empty(t, header.Get("Retry-After"))
		case 5:
			require.Equal(t, "2", header.Get("Retry-After"))
		case 6:
			at, err := http.ParseTime(header.Get("Retry-After"))
			require.NoError(t, err)
			require.WithinDuration(t, time.Now().Add(3*time.Second), at, 1500*time.Millisecond)
		}
	}
	require.Zero(t, w.done.Load())
}

func TestTruncatedJSONArrivesWholeAndIsNone(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Next("sage.salesorders.create", faults.Fault{Kind: faults.TruncatedJSON})
	status, header, body, err := w.post(t, 10*time.Second)
	require.NoError(t, err, "the transport must not give it away")
	require.Equal(t, 200, status)
	require.Equal(t, strconv.Itoa(len(body)), header.Get("Content-Length"))
	var syntax *json.SyntaxError
	require.True(t, errors.As(json.Unmarshal([]byte(body), &struct{}{}), &syntax))
	require.Equal(t, int64(1), w.done.Load())
}

func TestAScriptHitsExactlyTheCallItNames(t *testing.T) {
	w := newWorld(t, faults.NewPlan(1, faults.None))
	w.plan.Script("Sage.SalesOrders.Create", 2, faults.Fault{Kind: faults.Status, Status: 500})
	var got []int
	for range 3 {
		status, _, _, err := w.post(t, 10*time.Second)
		require.NoError(t, err)
		got = append(got, status)
	}
	require.Equal(t, []int{200, 500, 200}, got)
}

func TestALevelIsAFunctionOfTheSeedAndClearEndsIt(t *testing.T) {
	count := func(seed int64, calls int) (map[string]map[faults.Kind]int, *faults.Plan) {
		plan := faults.NewPlan(seed, faults.Hell)
		ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		refuse := func(http.ResponseWriter, *http.Request, faults.Fault) {}
		// Only faults that need neither time nor a line.
		plan.Chances("x.*", faults.Chance{Fault: faults.Fault{Kind: faults.Status}, Probability: 0.2},
			faults.Chance{Fault: faults.Fault{Kind: faults.Throttle}, Probability: 0.1, WritesOnly: true})
		for range calls {
			for _, op := range []string{"x.get", "x.create"} {
				plan.Serve(op, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), ok, refuse)
			}
		}
		return plan.Injected(), plan
	}
	one, plan := count(7, 1000)
	again, _ := count(7, 1000)
	other, _ := count(8, 1000)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
	require.InDelta(t, 200, one["x.get"][faults.Status], 50)
	require.Zero(t, one["x.get"][faults.Throttle])
	require.InDelta(t, 100, one["x.create"][faults.Throttle], 40)
	plan.Clear()
	before := plan.Total()
	plan.Serve("x.get", httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil),
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
	require.Equal(t, before, plan.Total())
}

func TestHellIsHellAndSomeIsSome(t *testing.T) {
	for _, l := range []faults.Level{faults.None, faults.Some, faults.Hell} {
		parsed, err := faults.ParseLevel(string(l))
		require.NoError(t, err)
		require.Equal(t, l, parsed)
	}
	_, err := faults.ParseLevel("heaven")
	require.Error(t, err)
	sum := func(l faults.Level) (total float64) {
		for _, c := range l.Chances() {
			total += c.Probability
		}
		return total
	}
	require.Zero(t, sum(faults.None))
	require.InDelta(t, 0.05, sum(faults.Some), 0.02)
	require.InDelta(t, 0.16, sum(faults.Hell), 0.04)
}

func TestWebhooksAreLostDoubledAndLateByTheSeed(t *testing.T) {
	plan := faults.NewPlan(3, faults.Hell)
	lost, copies := 0, map[int]int{}
	for i := range 1000 {
		d := plan.Delivery(strconv.Itoa(i))
		require.Equal(t, d, plan.Delivery(strconv.Itoa(i)))
		if len(d) == 0 {
			lost++
		}
		copies[len(d)]++
	}
	require.InDelta(t, 150, lost, 50)
	for n := 1; n <= 3; n++ {
		require.Greater(t, copies[n], 50)
	}
	var none *faults.Plan
	require.Equal(t, []time.Duration{0}, none.Delivery("x"))
}
