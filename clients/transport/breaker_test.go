package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// line stands where the network would be; it can be used inside a bubble.
type line func(r *http.Request) (*http.Response, error)

func (l line) RoundTrip(r *http.Request) (*http.Response, error) { return l(r) }

func says(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func over(t *testing.T, config Config, l line) *Client {
	t.Helper()
	config.Vendor, config.BaseURL, config.Base = "vendor", "https://vendor.example", l
	client, err := New(config)
	require.NoError(t, err)
	return client
}

func TestOnlySoManyCallsAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		client := over(t, Config{MaxInFlight: 3}, func(*http.Request) (*http.Response, error) {
			<-release
			return says(200, "{}")
		})
		results := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := client.Do(t.Context(), get, nil)
				results <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		_, err := client.Do(t.Context(), put, nil)
		require.ErrorIs(t, err, ErrLimited)
		require.ErrorContains(t, err, "too many calls are under way")
		require.Equal(t, time.Second, RetryAfter(err))
		require.False(t, MayHaveLanded(err))
		require.Zero(t, time.Since(began))
		close(release)
		for range 3 {
			require.NoError(t, <-results)
		}
		_, err = client.Do(t.Context(), get, nil)
		require.NoError(t, err, "the places are free again")
	})
}

func TestCallsThatWaitForTheLimiterAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := over(t, Config{MaxInFlight: 1, Limiter: NewBucket(BucketConfig{Calls: 1, Per: 10 * time.Second})},
			func(*http.Request) (*http.Response, error) { return says(200, "{}") })
		_, err := client.Do(t.Context(), get, nil)
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := client.Do(t.Context(), get, nil)
			done <- err
		}()
		synctest.Wait()
		_, err = client.Do(t.Context(), get, nil)
		require.ErrorIs(t, err, ErrLimited)
		require.NoError(t, <-done)
	})
}

func TestTheBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		var asked atomic.Int64
		var down atomic.Bool
		hold := make(chan struct{})
		var slow atomic.Bool
		client := over(t, Config{BreakAfter: 5, BreakFor: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(&lines, nil))},
			func(*http.Request) (*http.Response, error) {
				asked.Add(1)
				if slow.Load() {
					<-hold
				}
				if down.Load() {
					return says(503, "{}")
				}
				return says(200, "{}")
			})
		try := func() error { _, err := client.Do(t.Context(), put, nil); return err }

		down.Store(true)
		for range 5 {
			require.True(t, IsStatus(try(), 503))
		}
		require.Contains(t, lines.String(), "not answering")
		require.NoError(t, sleep(t.Context(), 4*time.Second))
		err := try()
		require.ErrorIs(t, err, ErrLimited)
		require.ErrorContains(t, err, "vendor is not answering")
		require.False(t, MayHaveLanded(err))
		require.Equal(t, 6*time.Second, RetryAfter(err))
		require.EqualValues(t, 5, asked.Load(), "nothing is sent while it is open")

		require.NoError(t, sleep(t.Context(), 7*time.Second))
		require.True(t, IsStatus(try(), 503), "one probe is sent")
		require.ErrorIs(t, try(), ErrLimited, "and opens it again")
		require.EqualValues(t, 6, asked.Load())

		require.NoError(t, sleep(t.Context(), 11*time.Second))
		down.Store(false)
		slow.Store(true)
		probe := make(chan error)
		go func() { probe <- try() }()
		synctest.Wait()
		err = try()
		require.ErrorIs(t, err, ErrLimited, "one probe at a time")
		require.Equal(t, time.Second, RetryAfter(err))
		slow.Store(false)
		close(hold)
		require.NoError(t, <-probe)
		for range 20 {
			require.NoError(t, try())
		}
		require.Contains(t, lines.String(), "answers again")
	})
}

func TestWhatDoesNotOpenTheBreaker(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		config Config
		ctx    context.Context
		line   line
	}{
		"a refusal":         {Config{}, context.Background(), func(*http.Request) (*http.Response, error) { return says(422, "{}") }},
		"a 429":             {Config{}, context.Background(), func(*http.Request) (*http.Response, error) { return says(429, "{}") }},
		"our own limit":     {Config{Limiter: refuser{}}, context.Background(), nil},
		"no credentials":    {Config{Prepare: func(context.Context) (context.Context, error) { return nil, errors.New("revoked") }}, context.Background(), nil},
		"the caller left":   {Config{}, gone, func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }},
		"now and then":      {Config{}, context.Background(), alternating()},
		"an unreadable one": {Config{}, context.Background(), func(*http.Request) (*http.Response, error) { return says(200, "{") }},
	} {
		c.config.BreakAfter = 3
		client := over(t, c.config, c.line)
		for range 20 {
			var out map[string]any
			_, err := client.Do(c.ctx, get, &out)
			if err != nil {
				require.NotContains(t, err.Error(), "not answering", name)
			}
		}
	}
	client := over(t, Config{BreakAfter: 3}, func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	for range 3 {
		_, err := client.Do(t.Context(), get, nil)
		require.ErrorIs(t, err, ErrNoAnswer)
	}
	_, err := client.Do(t.Context(), get, nil)
	require.ErrorContains(t, err, "not answering", "lines that break do open it")
}

func alternating() line {
	var n atomic.Int64
	return func(*http.Request) (*http.Response, error) {
		if n.Add(1)%3 == 0 {
			return says(200, "{}")
		}
		return says(500, "{}")
	}
}

// TestAPanicDoesNotHoldThePlaceOfTheProbe: Temporal catches panics of activities and goes on.
func TestAPanicDoesNotHoldThePlaceOfTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mode := "down"
		client := over(t, Config{BreakAfter: 1, MaxInFlight: 1}, func(*http.Request) (*http.Response, error) {
			switch mode {
			case "down":
				return says(500, "{}")
			case "panic":
				panic("boom")
			}
			return says(200, "{}")
		})
		_, err := client.Do(t.Context(), get, nil)
		require.Error(t, err)
		require.NoError(t, sleep(t.Context(), 11*time.Second))
		mode = "panic"
		require.Panics(t, func() { _, _ = client.Do(t.Context(), get, nil) })
		mode = "up"
		_, err = client.Do(t.Context(), get, nil)
		require.NoError(t, err)
	})
}

func TestManyCallersSeeOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		client := over(t, Config{BreakAfter: 2}, func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			if err := sleep(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return says(500, "{}")
		})
		for range 2 {
			_, _ = client.Do(t.Context(), get, nil)
		}
		require.NoError(t, sleep(t.Context(), 11*time.Second))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _, _ = client.Do(t.Context(), get, nil) })
		}
		all.Wait()
		require.EqualValues(t, 3, asked.Load())
	})
}
