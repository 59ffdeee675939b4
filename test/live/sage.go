package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
)

// SageKeys say which tenant is asked.
type SageKeys struct {
	BaseURL, PublicKey, PrivateKey string
	// Limiter replaces the usual pace of 3 calls a second.
	Limiter transport.Limiter
}

// Sage is a tenant that is asked.
type Sage struct {
	keys   SageKeys
	tap    *tap
	client *sage.Client

	// orders are what several probes look at, read once: the newest, as they come.
	orders []sage.Order
}

// noRecord is an id that no record has yet.
const noRecord = 2_147_483_646

var sageProbes = []probe[*Sage]{
	{"A40", sessions}, {"A44", caseOfKeys}, {"A46", keyFilters}, {"A47", referenceFilter}, {"A48", longFilter}, {"A49", quotes},
	{"A51", pageSizes}, {"A52", descending}, {"A53", missingRecord}, {"A60", zone}, {"A62", extraPlace}, {"A63", extraSchema},
	{"A65", lengths}, {"A68", statuses}, {"A73", atMost}, {"A96", sageDate},
}

// AskSage asks a tenant. It logs in twice and makes some thirty calls. Its error is that nothing can be read there.
func AskSage(ctx context.Context, keys SageKeys) ([]Finding, error) {
	s := &Sage{keys: keys, tap: newTap(nil)}
	var err error
	if s.client, err = s.connect(s.tap); err != nil {
		return nil, err
	}
	defer s.client.CloseIdle()
	for order, err := range s.client.Orders.List(ctx, sage.ListOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("the orders of the tenant cannot be read: %w", err)
		}
		if s.orders = append(s.orders, order); len(s.orders) == 50 {
			break
		}
	}
	return askAll(ctx, s, sageProbes), nil
}

func (s *Sage) connect(through *tap) (*sage.Client, error) {
	return sage.New(sage.Options{
		BaseURL: s.keys.BaseURL, PublicKey: s.keys.PublicKey, PrivateKey: s.keys.PrivateKey, Limiter: s.keys.Limiter,
		ReadOnly: true, Base: through,
	})
}

// sessions goes on with a session after another log-in.
func sessions(ctx context.Context, s *Sage) (Verdict, string) {
	second := newTap(nil)
	newer, err := s.connect(second)
	if err != nil {
		return blocked(err)
	}
	defer newer.CloseIdle()
	if _, err := newer.Branches.Live(ctx); err != nil {
		return blocked(err)
	}
	before := s.tap.loggedIn()
	if _, err := s.client.Branches.Live(ctx); err != nil {
		return blocked(err)
	}
	if s.tap.loggedIn() > before {
		return Fails, "a log-in ended the session before it"
	}
	return Holds, "a session goes on beside a newer one"
}

// order is the first live order that the caller can use.
func (s *Sage) order(use func(sage.Order) bool) (sage.Order, bool) {
	i := slices.IndexFunc(s.orders, func(o sage.Order) bool { return !bool(o.Deleted) && use(o) })
	if i < 0 {
		return sage.Order{}, false
	}
	return s.orders[i], true
}

func (s *Sage) none(what string) (Verdict, string) {
	return Open, fmt.Sprintf("no order with %s among the %d newest", what, len(s.orders))
}

func holdsOrder(rows []sage.Order, id int64) bool {
	return slices.ContainsFunc(rows, func(o sage.Order) bool { return o.ID == id })
}

func caseOfKeys(ctx context.Context, s *Sage) (Verdict, string) {
	order, found := s.order(func(o sage.Order) bool { return strings.ToUpper(o.ExtID) != o.ExtID })
	if !found {
		return s.none("small letters in its external id")
	}
	rows, err := s.client.Orders.Find(ctx, sage.Eq("extId", strings.ToUpper(order.ExtID)))
	switch {
	case err != nil:
		return blocked(err)
	case holdsOrder(rows, order.ID):
		return Holds, "found in capitals"
	}
	return Fails, "not found in capitals"
}

func keyFilters(ctx context.Context, s *Sage) (Verdict, string) {
	order, found := s.order(func(o sage.Order) bool { return o.ExtID != "" })
	if !found {
		return s.none("an external id")
	}
	for operator, filter := range map[string]sage.Where{
		"=": sage.Eq("extId", order.ExtID), "IN": sage.In("extId", order.ExtID, "ghl:order:nobody"),
	} {
		rows, err := s.client.Orders.Find(ctx, filter)
		if err != nil {
			return refusal(err)
		}
		if !holdsOrder(rows, order.ID) {
			return Fails, operator + " does not find the record"
		}
	}
	return Holds, "found by = and by IN"
}

func referenceFilter(ctx context.Context, s *Sage) (Verdict, string) {
	order, found := s.order(func(o sage.Order) bool { return o.AccountID.ID != 0 })
	if !found {
		return s.none("an account")
	}
	rows, err := s.client.Orders.Find(ctx, sage.And(sage.Eq("accountId.id", order.AccountID.ID), sage.Eq("id", order.ID)))
	switch {
	case err != nil:
		return refusal(err)
	case len(rows) != 1 || rows[0].ID != order.ID:
		return Fails, fmt.Sprintf("%d rows instead of the one", len(rows))
	}
	return Holds, "found by the account's id"
}

func longFilter(ctx context.Context, s *Sage) (Verdict, string) {
	var ids []string
	for i := range 40 {
		ids = append(ids, fmt.Sprintf("ghl:order:nobody-%014d", i))
	}
	if _, err := s.client.Orders.Find(ctx, sage.In("extId", ids...)); err != nil {
		return refusal(err)
	}
	return Holds, "a filter of 40 ids passes"
}

func quotes(ctx context.Context, s *Sage) (Verdict, string) {
	if _, err := s.client.Accounts.Find(ctx, sage.Eq("name", "tallystick's probe")); err != nil {
		return refusal(err)
	}
	return Holds, "a text with a quote passes"
}

// pageSizes asks for fewer rows than there are.
func pageSizes(ctx context.Context, s *Sage) (Verdict, string) {
	if len(s.orders) < 3 {
		return s.none("two others")
	}
	for _, err := range s.client.Orders.List(ctx, sage.ListOptions{PageSize: 2}) {
		if err != nil {
			return blocked(err)
		}
		break
	}
	_, _, body := s.tap.last()
	var rows []json.RawMessage
	if err := json.Unmarshal(body, &rows); err != nil {
		return Fails, "a list is no array"
	}
	if len(rows) != 2 {
		return Fails, fmt.Sprintf("asked for 2 rows by Count, got %d", len(rows))
	}
	return Holds, "asked for 2 rows by Count, got 2"
}

func descending(_ context.Context, s *Sage) (Verdict, string) {
	falls := 0
	for i := range s.orders {
		if i == 0 {
			continue
		}
		switch before, this := s.orders[i-1].DateCreated, s.orders[i].DateCreated; {
		case this.After(before.Time):
			return Fails, "a later record comes after an earlier one"
		case this.Before(before.Time):
			falls++
		}
	}
	if falls == 0 {
		return s.none("a creation before another's")
	}
	return Holds, fmt.Sprintf("%d records, newest first", len(s.orders))
}

func missingRecord(ctx context.Context, s *Sage) (Verdict, string) {
	_, err := s.client.Orders.Get(ctx, noRecord)
	switch status := statusOf(err); {
	case err == nil:
		return Open, "there is such a record"
	case status == 0:
		return blocked(err)
	case status == 400 && sage.MaybeNotFound(err):
		return Holds, "status 400"
	default:
		return Fails, fmt.Sprintf("status %d", status)
	}
}

// zone can only see a clock that is ahead.
func zone(_ context.Context, s *Sage) (Verdict, string) {
	const margin = 5 * time.Minute
	for _, o := range s.orders {
		if time.Until(o.DateCreated.Time) > margin || time.Until(o.DateUpdated.Time) > margin {
			return Holds, "a record is of the future, if its Z means UTC"
		}
	}
	return Open, fmt.Sprintf("none of %d records is of the future", len(s.orders))
}
