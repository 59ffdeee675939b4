package ghl

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Subscription is an agreement to pay again and again. The API only reads them.
type Subscription struct {
	ID, LocationID, ContactID string
	// GatewayID is the payment provider's id, by which transactions name the subscription: sub_… or I-….
	GatewayID string
	// Provider is "stripe", "paypal" or another one's name. Only Stripe's subscriptions are kept in step.
	Provider string
	// OrderID is the order it was subscribed by; empty where there was none.
	OrderID string
	// PriceID and Plan are what is paid for. Only a detail shows the plan.
	PriceID, Plan string
	// Amount is one charge.
	Amount domain.Money
	// Status is what HighLevel shows, GatewayStatus the truth at the payment provider, in its words.
	Status, GatewayStatus string
	LiveMode, MarkAsTest  bool
	Source                Source
	CouponCode, CouponID  string
	// Schedule is when it is charged. HighLevel shows no date of the next charge, and with NoSchedule no schedule either.
	Schedule   Schedule
	NoSchedule bool
	// Charges is how many of the schedule's charges were tried, and Paused that the provider collects none.
	Charges int64
	Paused  bool
	// TrialEnd is zero without a trial.
	TrialEnd             time.Time
	CanceledAt           time.Time
	CanceledBy           string
	CreatedAt, UpdatedAt time.Time
}

// Schedule is a recurrence as HighLevel writes it.
type Schedule struct {
	// IntervalType is yearly, monthly, weekly or daily; Interval is the number of them between two charges.
	IntervalType string
	Interval     int64
	// Start is the first charge. It is shown as a date and a time of day in Timezone.
	Start time.Time
	// Timezone is an IANA name that HighLevel shows although it does not document it; empty is UTC and shows none.
	Timezone string
	// Count is the number of charges, 0 for no end.
	Count int64
}

func (s *Server) subscriptionRoutes() {
	s.handle(operation{method: http.MethodGet, path: "/payments/subscriptions", name: "ghl.subscriptions.list",
		scope: "payments/subscriptions.readonly", query: []string{"altId*", "altType*", "entityId", "paymentMode",
			"startAt", "endAt", "entitySourceType", "search", "contactId", "id", "limit", "offset",
			"getPaymentsCollectedCount"}}, s.listSubscriptions)
	s.handle(operation{method: http.MethodGet, path: "/payments/subscriptions/{subscriptionId}",
		name: "ghl.subscriptions.get", scope: "payments/subscriptions.readonly", query: []string{"altId*", "altType*"}},
		s.getSubscription)
}

func (s *Server) listSubscriptions(c call) {
	in := c.r.URL.Query()
	if in.Has("contactId") && in.Get("contactId") == "" {
		answerJSON(c.w, map[string]any{"data": []any{}, "totalCount": 0})
		return
	}
	q := query[Subscription]{key: "location:" + c.loc.id, order: s.opts.ListOrder, keep: subscriptionFilter(in, c.loc)}
	q.from, q.to = s.window(in)
	q.limit, q.offset = page(in)
	if id := in.Get("contactId"); id != "" {
		q.key = "contact:" + id
	}
	if id := in.Get("entityId"); id != "" {
		q.key = "entity:" + id
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, total := s.subscriptions.page(q)
	rows := make([]any, len(found))
	for i, sub := range found {
		rows[i] = s.subscriptionRow(sub)
	}
	answerJSON(c.w, map[string]any{"data": rows, "totalCount": total})
}

func subscriptionFilter(in url.Values, loc *location) func(*Subscription) bool {
	var tests filters[Subscription]
	tests.add(in, "id", func(sub *Subscription, v string) bool { return sub.ID == v })
	tests.add(in, "paymentMode", func(sub *Subscription, v string) bool { return sub.LiveMode == (v == "live") })
	tests.add(in, "entitySourceType", func(sub *Subscription, v string) bool { return sub.Source.Type == v })
	tests.add(in, "contactId", func(sub *Subscription, v string) bool { return sub.ContactID == v })
	tests.add(in, "search", func(sub *Subscription, v string) bool {
		return strings.Contains(strings.ToLower(sub.Source.Name), strings.ToLower(v)) || sub.GatewayID == v
	})
	if len(tests) == 0 && in.Get("entityId") == "" {
		return nil
	}
	tests = append(tests, func(sub *Subscription) bool { return sub.LocationID == loc.id })
	return tests.all
}

// subscriptionCore is what rows and details have in common.
func (s *Server) subscriptionCore(sub *Subscription) map[string]any {
	doc := map[string]any{"_id": sub.ID, "altId": sub.LocationID, "altType": "location", "contactId": sub.ContactID,
		"currency": s.currency(sub.Amount.Currency, sub.ID), "amount": s.money(sub.Amount), "status": sub.Status,
		"liveMode": sub.LiveMode, "subscriptionId": sub.GatewayID, "subscriptionSnapshot": s.snapshot(sub),
		"createdAt": stamp(sub.CreatedAt), "updatedAt": stamp(sub.UpdatedAt)}
	if sub.OrderID != "" {
		doc["entityType"], doc["entityId"] = "order", sub.OrderID
	}
	return doc
}

// subscriptionRow is a subscription as lists show it: without its plan, schedule and end.
func (s *Server) subscriptionRow(sub *Subscription) map[string]any {
	row := s.subscriptionCore(sub)
	row["entitySourceType"], row["entitySourceName"] = sub.Source.Type, sub.Source.Name
	row["entitySourceId"] = sub.Source.ID
	if sub.Source.Meta != nil {
		row["entitySourceMeta"] = sub.Source.Meta
	}
	row["paymentProviderType"], row["paymentProviderConnectedAccount"] = sub.Provider, "acct_sandbox"
	if !sub.TrialEnd.IsZero() {
		row["trialEndDate"] = stamp(sub.TrialEnd)
	}
	if contact := s.contacts[sub.ContactID]; contact != nil {
		row["contactName"], row["contactEmail"] = contact.fullName(), contact.Email
	}
	return row
}

func (s *Server) getSubscription(c call) {
	s.mu.Lock() // for the trace id
	defer s.mu.Unlock()
	sub := s.subscriptions.byID[c.r.PathValue("subscriptionId")] // the gateway's id finds none
	if sub == nil || sub.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Subscription not found", "")
		return
	}
	doc := s.subscriptionCore(sub)
	doc["entitySource"] = sub.Source
	doc["paymentProvider"] = map[string]any{"type": sub.Provider, "connectedAccount": map[string]any{"accountId": "acct_sandbox"}}
	doc["autoPayment"] = map[string]any{"customerId": "cus_" + sub.ContactID, "paymentMethodId": "pm_" + sub.ContactID}
	doc["recurringProduct"] = map[string]any{"locationId": sub.LocationID, "name": sub.Plan}
	doc["traceId"] = s.newUUID("trace")
	if !sub.NoSchedule {
		doc["schedule"] = sub.Schedule.document()
	}
	if sub.CouponCode != "" {
		doc["coupon"] = map[string]any{"_id": sub.CouponID, "altId": sub.LocationID, "altType": "location", "code": sub.CouponCode}
	}
	if !sub.CanceledAt.IsZero() {
		doc["canceledAt"] = stamp(sub.CanceledAt)
	}
	if sub.CanceledBy != "" {
		doc["canceledBy"] = sub.CanceledBy
	}
	if contact := s.contacts[sub.ContactID]; contact != nil {
		doc["contactSnapshot"] = contact.document()
	}
	answerJSON(c.w, doc)
}

// document is the schedule as a detail shows it.
func (p Schedule) document() map[string]any {
	start := p.local()
	rule := map[string]any{"intervalType": p.IntervalType, "interval": p.Interval,
		"startDate": start.Format(time.DateOnly), "startTime": start.Format(time.TimeOnly)}
	if p.IntervalType == "monthly" || p.IntervalType == "yearly" {
		rule["dayOfMonth"] = start.Day()
	}
	if p.Count > 0 {
		rule["count"] = p.Count
	}
	if p.Timezone != "" {
		rule["timezone"] = p.Timezone
	}
	return map[string]any{"executeAt": stamp(p.Start), "rrule": rule}
}

// local is the start on the clocks of the schedule's zone.
func (p Schedule) local() time.Time {
	if zone, err := time.LoadLocation(p.Timezone); err == nil {
		return p.Start.In(zone)
	}
	return p.Start.UTC()
}

// Due is when charge n is due, counted from 0. A month that is too short is charged on its last day, the next one again
// on the day it began with, as payment providers do.
func (p Schedule) Due(n int64) time.Time {
	start, by := p.local(), int(n*p.Interval)
	switch p.IntervalType {
	case "daily":
		return start.AddDate(0, 0, by).UTC()
	case "weekly":
		return start.AddDate(0, 0, 7*by).UTC()
	case "yearly":
		by *= 12
	case "monthly":
	default:
		return time.Time{}
	}
	first := time.Date(start.Year(), start.Month()+time.Month(by), 1, start.Hour(), start.Minute(), start.Second(), 0, start.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(start.Day(), last)-1).UTC()
}

// snapshot is the payment provider's own object (A132): what Stripe's and PayPal's references publish, amounts in their
// units.
// PayPal's is from the day of subscribing, unless Options say that it is kept in step.
func (s *Server) snapshot(sub *Subscription) map[string]any {
	if sub.Provider != "stripe" {
		if sub.Provider != "paypal" {
			return map[string]any{"id": sub.GatewayID}
		}
		doc := map[string]any{"id": sub.GatewayID, "status": "ACTIVE", "status_update_time": second(sub.CreatedAt),
			"start_time": second(sub.CreatedAt), "quantity": 1}
		if s.opts.PayPalInStep {
			doc["status"], doc["status_update_time"] = strings.ToUpper(sub.GatewayStatus), second(sub.UpdatedAt)
			if sub.GatewayStatus == "active" {
				doc["billing_info"] = map[string]any{"next_billing_time": second(sub.Schedule.Due(sub.Charges))}
			}
		}
		return doc
	}
	from := sub.CreatedAt
	if sub.Charges > 0 {
		from = sub.Schedule.Due(sub.Charges - 1)
	}
	period := map[string]any{"current_period_start": from.Unix(), "current_period_end": sub.Schedule.Due(sub.Charges).Unix()}
	item := map[string]any{"id": "si_" + sub.ID, "quantity": 1, "price": map[string]any{"id": "price_" + sub.PriceID,
		"unit_amount": sub.Amount.Minor, "currency": strings.ToLower(string(sub.Amount.Currency))}}
	doc := map[string]any{"id": sub.GatewayID, "object": "subscription", "status": sub.GatewayStatus,
		"currency": strings.ToLower(string(sub.Amount.Currency)), "created": sub.CreatedAt.Unix(),
		"cancel_at_period_end": false, "items": map[string]any{"object": "list", "data": []any{item}}}
	for name, at := range period { // Stripe moved them to the items in 2025
		if s.opts.StripePeriodInItems {
			item[name] = at
		} else {
			doc[name] = at
		}
	}
	if sub.Paused {
		doc["pause_collection"] = map[string]any{"behavior": "void"}
	}
	if !sub.CanceledAt.IsZero() {
		doc["canceled_at"] = sub.CanceledAt.Unix()
	}
	if !sub.TrialEnd.IsZero() {
		doc["trial_end"] = sub.TrialEnd.Unix()
	}
	return doc
}

// second writes a time as PayPal does.
func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }
