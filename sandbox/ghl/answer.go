package ghl

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
)

// maxLimit bounds a page. HighLevel publishes no bound; 100 was seen to work.
const maxLimit = 100

// answerError writes one of the published shapes; the message is a text or, for 422, a list of texts.
func answerError(w http.ResponseWriter, status int, message any, kind string) {
	body := map[string]any{"statusCode": status, "message": message}
	if kind != "" {
		body["error"] = kind
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func answerJSON(w http.ResponseWriter, v any) { answerStatus(w, http.StatusOK, v) }

func answerStatus(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refuse answers a fault in HighLevel's shape.
func refuse(w http.ResponseWriter, _ *http.Request, f faults.Fault) {
	switch f.Kind {
	case faults.Throttle:
		answerError(w, http.StatusTooManyRequests, "Too Many Requests", "")
	case faults.StaleToken:
		answerError(w, http.StatusUnauthorized, "Invalid JWT", "Unauthorized")
	default:
		answerError(w, f.Status, http.StatusText(f.Status), "")
	}
}

// badValues checks the values of parameters that mean the same in every operation.
func badValues(query url.Values) []string {
	var wrong []string
	if t := query.Get("altType"); t != "" && t != "location" {
		wrong = append(wrong, "altType must be one of the following values: location")
	}
	for name, least := range map[string]int{"limit": 1, "offset": 0, "skip": 0} {
		if v := query.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < least || name == "limit" && n > maxLimit {
				wrong = append(wrong, name+" is out of range")
			}
		}
	}
	for _, name := range []string{"isInstalled", "onTrial", "getPaymentsCollectedCount", "availableInStore", "includedInStore"} {
		if v := query.Get(name); v != "" && v != "true" && v != "false" {
			wrong = append(wrong, name+" must be a boolean value")
		}
	}
	for _, name := range []string{"startAt", "endAt"} {
		if v := query.Get(name); v != "" {
			if _, err := time.Parse(time.DateOnly, v); err != nil {
				wrong = append(wrong, name+" must be YYYY-MM-DD")
			}
		}
	}
	statuses := []string{"", "paid", "unpaid", "refunded", "partially_paid"}
	if !slices.Contains(statuses, query.Get("paymentStatus")) {
		wrong = append(wrong, "paymentStatus must be one of the following values: "+strings.Join(statuses[1:], ", "))
	}
	return wrong
}

// money is an amount as JavaScript writes it: a number without zeros at the end.
func (s *Server) money(m domain.Money) any {
	d, err := decimal.Parse(m.Decimal().String())
	if err != nil {
		panic(err)
	}
	text := d.Trim(0).String()
	if s.opts.QuotedAmounts {
		return text
	}
	return json.Number(text)
}

// currency is a code in the case that this object happens to have it in.
func (s *Server) currency(c domain.Currency, id string) string {
	if !s.opts.UpperCurrency && id != "" && strings.Contains("048c", id[len(id)-1:]) {
		return strings.ToLower(string(c))
	}
	return string(c)
}

// stamp writes a time as HighLevel does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// window reads startAt and endAt; a zero time is open.
func (s *Server) window(query url.Values) (from, to time.Time) {
	from, _ = time.Parse(time.DateOnly, query.Get("startAt"))
	if end, err := time.Parse(time.DateOnly, query.Get("endAt")); err == nil {
		to = end
		if s.opts.EndInclusive {
			to = end.AddDate(0, 0, 1)
		}
	}
	return from, to
}

// page reads limit and offset with the published defaults.
func page(query url.Values) (limit, offset int) {
	limit, offset = 10, 0
	if n, err := strconv.Atoi(query.Get("limit")); err == nil {
		limit = n
	}
	if n, err := strconv.Atoi(query.Get("offset")); err == nil {
		offset = n
	}
	return limit, offset
}
