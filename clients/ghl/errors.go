package ghl

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

// notJSON is the code given to an answer that did not come from the API but from something before it: a proxy's 404
// must not be taken for a missing order.
const notJSON = "not-json"

// classify reads HighLevel's error bodies. message is a text or a list of texts, and sits beside statusCode or status;
// the newer shape keeps it inside error.
func classify(status int, h http.Header, body []byte) transport.Words {
	words := transport.ReadWords(status, h, body)
	if len(body) > 0 && !json.Valid(body) {
		words.Code = notJSON
	}
	if status != http.StatusTooManyRequests {
		return words
	}
	now := time.Now()
	if wait, spent := dailySpent(h, now); spent {
		words.RetryAfter = wait
	} else if words.RetryAfter = transport.ParseRetryAfter(h, now); words.RetryAfter == 0 {
		words.RetryAfter = intervalOf(h) // HighLevel documents no Retry-After (A20)
	}
	return words
}

var (
	missing = regexp.MustCompile(`(?i)\b(order|transaction|contact|invoice)s?\b.*\b(not found|does not exist|doesn't exist)`)
	// missingThere holds only for calls about such objects: an order is not missing because a price of it is.
	missingThere = map[string]*regexp.Regexp{
		"subscriptions": regexp.MustCompile(`(?i)\bsubscriptions?\b.*\b(not found|does not exist|doesn't exist)`),
		"coupons":       regexp.MustCompile(`(?i)\bcoupons?\b.*\b(not found|does not exist|doesn't exist)`),
		"products":      regexp.MustCompile(`(?i)\bproducts?\b.*\b(not found|does not exist|doesn't exist)`),
		"prices":        regexp.MustCompile(`(?i)\b(product|price)s?\b.*\b(not found|does not exist|doesn't exist)`),
	}
	// elsewhere: it is the route or the location that is missing, not the object.
	elsewhere = regexp.MustCompile(`(?i)^cannot |\blocation\b`)
	expired   = regexp.MustCompile(`(?i)\b(jwt|token)\b.*\b(invalid|expired|malformed|revoked)|\b(invalid|expired|malformed|revoked)\b.*\b(jwt|token)\b`)
	noScope   = regexp.MustCompile(`(?i)not authorized for this scope`)
	asleep    = regexp.MustCompile(`(?i)\blocation is not active\b`)
	// noRoute: "This route is not yet supported by the IAM Service" (issue 92 of the vendor's repository).
	noRoute = regexp.MustCompile(`(?i)\broute is not (yet )?supported`)
)

// IsNotFound tells that the object asked for does not exist. HighLevel says so with 404, and in some places with 400
// and "Order not found" (A21). A 404 for an unknown route or from a proxy is none.
func IsNotFound(err error) bool {
	e := transport.AsError(err)
	if e == nil || e.Code == notJSON {
		return false
	}
	switch e.Status {
	case http.StatusNotFound:
		return saysMissing(e) || !elsewhere.MatchString(e.Message)
	case http.StatusBadRequest:
		return saysMissing(e)
	}
	return false
}

func saysMissing(e *transport.Error) bool {
	resource, _, _ := strings.Cut(strings.TrimPrefix(e.Operation, vendor+"."), ".")
	there := missingThere[resource]
	return missing.MatchString(e.Message) || (there != nil && there.MatchString(e.Message))
}

// IsTokenInvalid tells that the token is wrong or has expired, so that a renewed one may help.
func IsTokenInvalid(err error) bool {
	e := transport.AsError(err)
	return e != nil && e.Status == http.StatusUnauthorized && !noScope.MatchString(e.Message) && expired.MatchString(e.Message)
}

// IsScopeMissing tells that the token is good but may not do this: somebody must grant the scope; renewing is useless
// (A21).
func IsScopeMissing(err error) bool {
	e := transport.AsError(err)
	return e != nil && e.Status == http.StatusUnauthorized && noScope.MatchString(e.Message)
}

// IsLocationAsleep tells that the agency, or an unpaid subscription, has switched a location off. The tokens are none the
// worse for it: once the location is active again the same refresh token is good (HighLevel's oauth-v3.json,
// locationNotActive).
func IsLocationAsleep(err error) bool {
	e := transport.AsError(err)
	return e != nil && e.Status == http.StatusBadRequest && asleep.MatchString(e.Message)
}

// IsWrongLocation tells that the token belongs to another location (A93).
func IsWrongLocation(err error) bool { return transport.IsStatus(err, http.StatusForbidden) }
