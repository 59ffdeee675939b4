package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// Command runs a command of the starter as an operator would, with something to read, and returns its exit code and what
// it printed.
func Command(t *testing.T, s *stack.Stack, input string, arguments ...string) (code int, output string) {
	t.Helper()
	_, starter := Programs(t)
	cmd := exec.CommandContext(t.Context(), starter, arguments...)
	for name, value := range s.Settings() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir())
	var printed bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &printed, &printed
	err := cmd.Run()
	if exit := (&exec.ExitError{}); err != nil {
		require.ErrorAs(t, err, &exit)
	}
	return cmd.ProcessState.ExitCode(), printed.String()
}

// Buy places an order of one article in a location and pays it.
func Buy(t *testing.T, s *stack.Stack, location, contact string, amount domain.Money) ghl.Order {
	t.Helper()
	shop := s.GHL.In(location)
	product := shop.AddProduct(ghl.Product{Name: "Article"})
	price := s.GHL.AddPrice(ghl.Price{ProductID: product, Name: "One", Amount: amount})
	order, err := shop.PlaceOrder(ghl.NewOrder{
		ContactID: contact, Currency: amount.Currency, Lines: []ghl.NewLine{{PriceID: price, Qty: 1}},
	})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)
	return order
}

// Browser is a browser with a cookie jar, over a way out of the caller's or, if that is nil, the usual one.
func Browser(t *testing.T, way http.RoundTripper) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, Timeout: time.Minute, Transport: way}
}

// Click has a browser follow the link of `starter connect` up to the page that says how it went, which it returns.
func Click(t *testing.T, s *stack.Stack, browser *http.Client) string {
	t.Helper()
	code, output := Command(t, s, "", "connect", "-o", "json")
	require.Zero(t, code, output)
	var answer struct {
		URL string `json:"url"`
	}
	require.NoError(t, json.Unmarshal([]byte(output), &answer), output)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, answer.URL, nil)
	require.NoError(t, err)
	response, err := browser.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(page))
	return string(page)
}

// Operators are the people behind the incoming webhook by which operators are told. Its URL is NOTIFY_WEBHOOK_URL.
type Operators struct {
	*httptest.Server
	mu    sync.Mutex
	texts []string
}

// Listen makes Operators who listen as long as the test runs.
func Listen(t *testing.T) *Operators {
	t.Helper()
	o := &Operators{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			Text string `json:"text"`
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.texts = append(o.texts, message.Text)
	}))
	t.Cleanup(o.Close)
	return o
}

// Told are the messages so far that hold all of these words.
func (o *Operators) Told(words ...string) (found []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
next:
	for _, text := range o.texts {
		for _, word := range words {
			if !strings.Contains(text, word) {
				continue next
			}
		}
		found = append(found, text)
	}
	return found
}
