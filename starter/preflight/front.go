package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/starter/sagehook"
)

const webhooksPart = "webhooks"

// mostAnswer is more than our own front door ever answers to these questions.
const mostAnswer = 64 << 10

// webhooks asks the front door by the address that HighLevel uses: whether it is ours that answers, and whether what is
// not signed is refused at each door. It is empty, so even a door that is open takes nothing in.
func (s Subject) webhooks(ctx context.Context) []Finding {
	public := string(s.Config.HTTP.Public)
	if public == "" {
		f := Finding{Part: webhooksPart, Check: "reachable", Verdict: Skip, Found: "PUBLIC_URL is not set"}
		if s.Config.GHL.OAuthEnabled() {
			f.Verdict, f.Mend = Warn, "set PUBLIC_URL to the address under which the front door is reached from outside"
		}
		return []Finding{f}
	}
	found := []Finding{reachable(ctx, public)}
	if found[0].Verdict != OK {
		return found
	}
	found = append(found, unsigned(ctx, "unsigned events", public+"/webhooks/ghl/OrderCreate", Fail))
	if s.Config.Shipping.DeliverySecret != "" {
		found = append(found, unsigned(ctx, "unsigned news of deliveries", public+delivery.Path, Warn))
	}
	if s.Config.Shipping.HookToken != "" {
		found = append(found, unsigned(ctx, "hooks without the token", public+sagehook.Path+"x", Warn))
	}
	return found
}

func reachable(ctx context.Context, public string) Finding {
	f := Finding{Part: webhooksPart, Check: "reachable", Verdict: Fail}
	code, body, err := ask(ctx, http.MethodGet, public+"/healthz", "")
	var answer struct {
		Status string `json:"status"`
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), code >= http.StatusBadGateway && code <= http.StatusGatewayTimeout:
		// As an empty queue waits for its worker, so does HighLevel's next event for the door.
		f.Verdict, f.Found = Warn, "nobody answers behind "+public
		f.Mend = "start `starter serve`, and let what listens at PUBLIC_URL forward to LISTEN_ADDRESS"
	case err != nil:
		f.Found = err.Error()
		f.Mend = "let the name of PUBLIC_URL lead to this installation, with a certificate that browsers accept"
	case code != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Status != "alive":
		f.Found = fmt.Sprintf("somebody else answers at %s/healthz, with %d", public, code)
		f.Mend = "let what listens at PUBLIC_URL forward /healthz, /webhooks/ and /oauth/ghl to LISTEN_ADDRESS as they are"
	default:
		f.Verdict, f.Found = OK, public
	}
	return f
}

// unsigned asks a door with nothing that would open it. absent is what it means if there is none.
func unsigned(ctx context.Context, check, address string, absent Verdict) Finding {
	f := Finding{Part: webhooksPart, Check: check, Verdict: Fail}
	code, body, err := ask(ctx, http.MethodPost, address, "{}")
	var answer intake.Answer
	ours := json.Unmarshal(body, &answer) == nil && answer.Status == "refused"
	switch {
	case err != nil:
		f.Found, f.Mend = err.Error(), "see whether what listens at PUBLIC_URL lets POST requests through"
	case code == http.StatusUnauthorized && ours:
		f.Verdict, f.Found = OK, "refused"
	case code == http.StatusNotFound && !ours && absent != Fail:
		f.Verdict, f.Found = absent, "the front door that runs there has no such door"
		f.Mend = "restart `starter serve` with the configuration of this check"
	case code >= 200 && code < 300:
		f.Found = fmt.Sprintf("what is not signed was answered with %d", code)
		f.Mend = "let what listens at PUBLIC_URL forward to the front door and answer nothing itself"
	default:
		f.Found = fmt.Sprintf("what is not signed was answered with %d, and not by the front door", code)
		f.Mend = "let what listens at PUBLIC_URL forward /webhooks/ and what is below it as it is, without a login of its own"
	}
	return f
}

func ask(ctx context.Context, method, url, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := asker.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	return response.StatusCode, answer, err
}

// How far clocks may be apart. Sessions, tokens and the lists' windows are by time; minutes apart, calls are refused.
const (
	tolerable = 30 * time.Second
	bearable  = 5 * time.Minute
)

// clocks compares this machine's clock with the Date of each vendor's answers (A96), which whoever is not logged in gets too.
func (s Subject) clocks(ctx context.Context) []Finding {
	var found []Finding
	asked := map[string]bool{"": true}
	look := func(vendor, address string) {
		if !asked[address] {
			asked[address] = true
			found = append(found, clock(ctx, vendor, address))
		}
	}
	look(highLevelPart, string(s.Config.GHL.BaseURL))
	look(sagePart, string(s.Config.Sage.BaseURL))
	for _, c := range s.Connections {
		look(sagePart, string(c.Settings.BaseURL))
	}
	return found
}

func clock(ctx context.Context, vendor, address string) Finding {
	f := Finding{Part: "clock", Check: vendor, Verdict: Skip}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		f.Found = err.Error()
		return f
	}
	before := time.Now()
	response, err := asker.Do(request)
	if err != nil {
		f.Found = "no answer: " + err.Error()
		return f
	}
	_ = response.Body.Close() // a HEAD has none
	after := time.Now()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		f.Found = "the answer has no date"
		return f
	}
	return skewed(f, apart(before, after, theirs))
}

// apart is how far our clock is ahead of theirs at least. They say the second in which they answered, some time between
// our question and its answer; within that, the clocks may agree.
func apart(before, after, theirs time.Time) time.Duration {
	switch {
	case before.After(theirs.Add(time.Second)):
		return before.Sub(theirs.Add(time.Second))
	case after.Before(theirs):
		return after.Sub(theirs)
	}
	return 0
}

func skewed(f Finding, ahead time.Duration) Finding {
	f.Verdict, f.Found = OK, "they agree"
	if ahead == 0 {
		return f
	}
	word := "ahead"
	if ahead < 0 {
		word = "behind"
	}
	f.Found = fmt.Sprintf("this machine is %s %s", ahead.Abs().Round(time.Second), word)
	switch {
	case ahead.Abs() > bearable:
		f.Verdict = Fail
	case ahead.Abs() > tolerable:
		f.Verdict = Warn
	}
	f.Mend = "let this machine set its clock by a time server (NTP)"
	return f
}
