package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

var writes = []Call{
	{Operation: "vendor.things.update", Method: http.MethodPut, Path: "/things/{id}/parts/{part}", Write: true,
		PathParams: map[string]string{"id": "a/b c%d", "part": "é"}, Query: url.Values{"b": {"2", "3"}, "a": {"x=1&y"}},
		Body: map[string]any{"name": "<Jane>", "n": 1}},
	{Operation: "vendor.things.delete", Method: http.MethodDelete, Path: "/things/{id}", PathParams: map[string]string{"id": "7"}, Write: true},
	{Operation: "vendor.things.form", Method: http.MethodPost, Path: "/form", Form: url.Values{"a": {"x y&z=ü"}, "b": {""}}, Write: true},
}

// TestAPlannedWriteIsWhatWouldBeSent compares what the hook is told with what a vendor gets from a client that may write.
func TestAPlannedWriteIsWhatWouldBeSent(t *testing.T) {
	for _, call := range writes {
		var sent Planned
		client := serve(t, Config{}, func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			sent = Planned{Vendor: "vendor", Operation: call.Operation, Method: r.Method, Path: r.URL.EscapedPath()[len("/api/v4"):],
				Query: r.URL.Query(), ContentType: r.Header.Get("Content-Type"), Body: body}
		})
		_, err := client.Do(t.Context(), call, nil)
		require.NoError(t, err)

		var told []Planned
		reader := serve(t, Config{ReadOnly: true, Planned: func(_ context.Context, p Planned) error {
			told = append(told, p)
			return nil
		}}, func(http.ResponseWriter, *http.Request) { t.Error("a write left") })
		_, err = reader.Do(t.Context(), call, nil)
		require.ErrorIs(t, err, ErrReadOnly)
		require.Len(t, told, 1)
		if len(sent.Query) == 0 {
			sent.Query = nil
		}
		if len(sent.Body) == 0 {
			sent.Body = nil
		}
		require.Equal(t, sent.Body, told[0].Body)
		require.Equal(t, sent, told[0])
		require.NotContains(t, told[0].String(), "Jane")
		require.NotContains(t, fmt.Sprint(told[0]), "Jane")
	}
}

func TestTheRefusalStandsWhateverTheHookSays(t *testing.T) {
	var lines bytes.Buffer
	client := serve(t, Config{
		ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&lines, nil)),
		Planned: func(context.Context, Planned) error { return errors.New("no room for jane@example.com") },
	}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Error("a write left")
		}
	})
	_, err := client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrReadOnly)
	require.NotErrorIs(t, err, ErrInvalidCall)
	require.Contains(t, lines.String(), "could not be recorded")
	require.NotContains(t, lines.String(), "jane@")
	_, err = client.Do(t.Context(), get, nil)
	require.NoError(t, err, "reads are not planned, they are done")

	call := put
	call.Body = func() {}
	_, err = client.Do(t.Context(), call, nil)
	require.ErrorIs(t, err, ErrInvalidCall)
}

func TestAFormIsSentAsOne(t *testing.T) {
	client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("code") != "a&b=c d" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			w.WriteHeader(http.StatusTeapot)
		}
		if r.ContentLength <= 0 {
			w.WriteHeader(http.StatusLengthRequired)
		}
		_, _ = io.WriteString(w, "{}")
	})
	_, err := client.Do(t.Context(), Call{Operation: "vendor.token", Method: http.MethodPost, Path: "/t", Form: url.Values{"code": {"a&b=c d"}}}, nil)
	require.NoError(t, err)
	_, err = client.Do(t.Context(), Call{Operation: "vendor.token", Method: http.MethodPost, Path: "/t", Form: url.Values{}, Body: 1}, nil)
	require.ErrorIs(t, err, ErrInvalidCall)
}

func TestPreparingComesBeforeTheWaitAndTheTimeout(t *testing.T) {
	type key struct{}
	var steps []string
	limiter := watching{NewBucket(BucketConfig{}), func() { steps = append(steps, "wait") }}
	config := Config{
		Limiter: limiter,
		Prepare: func(ctx context.Context) (context.Context, error) {
			steps = append(steps, "prepare")
			if _, bounded := ctx.Deadline(); bounded {
				t.Error("the timeout of an attempt bounds the preparation")
			}
			return context.WithValue(ctx, key{}, "token"), nil
		},
		Auth: func(ctx context.Context, r *http.Request) error {
			steps = append(steps, "sign")
			r.Header.Set("Authorization", ctx.Value(key{}).(string))
			return nil
		},
	}
	client := serve(t, config, func(_ http.ResponseWriter, r *http.Request) { steps = append(steps, r.Header.Get("Authorization")) })
	_, err := client.Do(context.Background(), get, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"prepare", "wait", "sign", "token"}, steps)
	steps = nil
	anonymous := get
	anonymous.Anonymous = true
	_, err = client.Do(context.Background(), anonymous, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"wait", ""}, steps)

	for cause, want := range map[error]error{
		errors.New("refused"):                 ErrCredentials,
		context.DeadlineExceeded:              ErrNoAnswer,
		&Error{Status: 503, Vendor: "v"}:      ErrCredentials,
		&LimitError{Reason: "later"}:          ErrLimited,
		fmt.Errorf("x: %w", ErrNoAnswer):      ErrCredentials,
		fmt.Errorf("y: %w", context.Canceled): ErrNoAnswer,
	} {
		config.Prepare = func(ctx context.Context) (context.Context, error) { return ctx, cause }
		_, err := serve(t, config, func(http.ResponseWriter, *http.Request) { t.Error("a call left") }).Do(t.Context(), put, nil)
		require.ErrorIs(t, err, want)
		require.False(t, MayHaveLanded(err))
	}
}

type watching struct {
	Limiter
	seen func()
}

func (w watching) Wait(ctx context.Context) error {
	w.seen()
	return w.Limiter.Wait(ctx)
}
