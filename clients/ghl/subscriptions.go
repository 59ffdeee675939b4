package ghl

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Subscriptions are the recurring payments of the location. They can only be read: no endpoint makes, pauses or cancels
// one, and no webhook tells of a change.
type Subscriptions struct{ api *api }

// Subscription is an agreement to pay again and again.
type Subscription struct {
	// ID is HighLevel's own; GatewayID is the payment provider's, such as sub_….
	ID         string  `json:"id"`
	GatewayID  string  `json:"gatewayId,omitempty"`
	LocationID string  `json:"locationId"`
	ContactID  string  `json:"contactId"`
	Contact    Contact `json:"contact"`
	// Currency is an ISO 4217 code in any case.
	Currency string `json:"currency"`
	// Amount is one instalment, in major units.
	Amount domain.Number `json:"amount,omitempty"`
	// Status is an open vocabulary; HighLevel's help names trialing, active, canceled, suspended, incomplete, past_due,
	// incomplete_expired, unpaid and expired. It is not kept in step for PayPal (A39).
	Status string `json:"status"`
	// Test says that no money moves.
	Test bool `json:"test"`
	// EntityType and EntityID name what was subscribed by: "order" and its id.
	EntityType string `json:"entityType"`
	EntityID   string `json:"entityId"`
	Source     Source `json:"source"`
	// Provider is the payment provider's kind: stripe, paypal and so on.
	Provider   string `json:"provider,omitempty"`
	CouponCode string `json:"couponCode,omitempty"`
	// PlanName and ProductID are what is paid for; only a single subscription has them. HighLevel publishes a name in an
	// example and no id of a product, which is taken where it is.
	PlanName  string `json:"planName,omitempty"`
	ProductID string `json:"productId,omitempty"`
	// Schedule is only in a single subscription, not in a list row.
	Schedule Schedule `json:"schedule"`
	// Snapshot is the payment provider's own object, in single subscriptions and list rows.
	Snapshot Snapshot `json:"snapshot"`
	// TrialEnd is zero without a trial. HighLevel does not document it; list rows were seen to have it.
	TrialEnd time.Time `json:"trialEnd"`
	// CanceledAt is zero unless it was cancelled. List rows do not have it.
	CanceledAt time.Time `json:"canceledAt"`
	TraceID    string    `json:"traceId,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

// Schedule is when a subscription is charged. HighLevel gives no date of the next charge.
type Schedule struct {
	// ExecuteAt is as HighLevel writes it; it documents no form (A39).
	ExecuteAt string `json:"executeAt,omitempty"`
	// IntervalType is yearly, monthly, weekly, daily, hourly, minutely or secondly.
	IntervalType string `json:"intervalType,omitempty"`
	// Interval is the number of those between two charges.
	Interval int64 `json:"interval,omitempty"`
	// StartDate and EndDate are dates (2006-01-02), StartTime and EndTime times of day, in Timezone.
	StartDate string `json:"startDate,omitempty"`
	StartTime string `json:"startTime,omitempty"`
	EndDate   string `json:"endDate,omitempty"`
	EndTime   string `json:"endTime,omitempty"`
	// EndType is what ends it: never, by (the end date), count or after. HighLevel documents it for invoices only.
	EndType string `json:"endType,omitempty"`
	// Timezone is an IANA name. HighLevel does not document it; it was seen in the field. Empty is UTC.
	Timezone string `json:"timezone,omitempty"`
	// DayOfMonth is 1 to 28 or -1 for the last one, as documented, and 0 if not given.
	DayOfMonth int64 `json:"dayOfMonth,omitempty"`
	// DayOfWeek is mo, tu and so on, NumOfWeek which of the month's it is (1 to 4, -1 for the last one), MonthOfYear jan,
	// feb and so on.
	DayOfWeek   string `json:"dayOfWeek,omitempty"`
	NumOfWeek   int64  `json:"numOfWeek,omitempty"`
	MonthOfYear string `json:"monthOfYear,omitempty"`
	// Count is the number of charges, 0 for no end.
	Count int64 `json:"count,omitempty"`
	// DaysBefore is by how many days the task is carried out earlier, which is documented for tasks and not for charges.
	DaysBefore int64 `json:"daysBefore,omitempty"`
}

// Snapshot is what we understand of the payment provider's own object, as Stripe's and PayPal's references publish it.
// HighLevel keeps Stripe's in step and PayPal's not (A132). All is zero for another provider.
type Snapshot struct {
	// Status is the provider's word: active, or ACTIVE.
	Status string `json:"status,omitempty"`
	// ChangedAt is when the status became that; only PayPal says so.
	ChangedAt time.Time `json:"changedAt"`
	// Paused says that Stripe collects no payments for the time being; the status does not show it.
	Paused bool `json:"paused,omitempty"`
	// PeriodEnd is the end of what is paid for (Stripe), NextBilling the next charge (PayPal).
	PeriodEnd   time.Time `json:"periodEnd"`
	NextBilling time.Time `json:"nextBilling"`
	// EndsAt is when it is set to end, CanceledAt when somebody asked for that, EndedAt when it ended.
	EndsAt     time.Time `json:"endsAt"`
	CanceledAt time.Time `json:"canceledAt"`
	EndedAt    time.Time `json:"endedAt"`
	TrialEnd   time.Time `json:"trialEnd"`
	// Interval is day, week, month or year, and IntervalCount the number of those between two charges.
	Interval      string `json:"interval,omitempty"`
	IntervalCount int64  `json:"intervalCount,omitempty"`
}

// SubscriptionFilter narrows a list of subscriptions. Empty fields do not filter. There is no filter by status or by
// the time of a change.
type SubscriptionFilter struct {
	// From and To are as in OrderFilter.
	From, To time.Time
	// ID is a subscription's own id.
	ID string
	// EntityID is the id of the order.
	EntityID   string
	ContactID  string
	SourceType string
	Search     string
	// PaymentMode is live or test.
	PaymentMode string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of subscriptions, from the place given on.
func (s *Subscriptions) Page(ctx context.Context, filter SubscriptionFilter, at Cursor) (Page[Subscription], error) {
	query := s.api.tenant()
	setDates(query, filter.From, filter.To)
	setText(query, "id", filter.ID)
	setText(query, "entityId", filter.EntityID)
	setText(query, "contactId", filter.ContactID)
	setText(query, "entitySourceType", filter.SourceType)
	setText(query, "search", filter.Search)
	setText(query, "paymentMode", filter.PaymentMode)
	return page(ctx, s.api, listing{op: subscriptionsList, query: query, limit: filter.Limit}, at, DecodeSubscription)
}

// All walks all subscriptions of the filter. A *RowError stands for one unreadable row and the walk goes on; any other
// error ends it.
func (s *Subscriptions) All(ctx context.Context, filter SubscriptionFilter) iter.Seq2[Subscription, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Subscription], error) { return s.Page(ctx, filter, at) })
}

// Get reads one subscription by HighLevel's own id, with its schedule. IsNotFound tells that there is none.
func (s *Subscriptions) Get(ctx context.Context, id string) (Subscription, error) {
	return get(ctx, s.api, subscriptionsGet, "subscriptionId", id, s.api.tenant(), DecodeSubscription)
}

type subscriptionWire struct {
	ID               text                 `json:"_id"`
	AltID            text                 `json:"altId"`
	ContactID        text                 `json:"contactId"`
	ContactName      text                 `json:"contactName"`
	ContactEmail     text                 `json:"contactEmail"`
	ContactSnapshot  object[contactWire]  `json:"contactSnapshot"`
	Currency         text                 `json:"currency"`
	Amount           domain.Number        `json:"amount"`
	Status           text                 `json:"status"`
	LiveMode         flag                 `json:"liveMode"`
	MarkAsTest       flag                 `json:"markAsTest"`
	EntityType       text                 `json:"entityType"`
	EntityID         text                 `json:"entityId"`
	EntitySource     object[source]       `json:"entitySource"`
	EntitySourceType text                 `json:"entitySourceType"`
	EntitySourceID   text                 `json:"entitySourceId"`
	EntitySourceName text                 `json:"entitySourceName"`
	SubscriptionID   text                 `json:"subscriptionId"`
	ProviderType     text                 `json:"paymentProviderType"`
	Provider         object[providerWire] `json:"paymentProvider"`
	Coupon           object[couponCode]   `json:"coupon"`
	Schedule         object[scheduleWire] `json:"schedule"`
	Snapshot         object[snapshotWire] `json:"subscriptionSnapshot"`
	Product          object[planWire]     `json:"recurringProduct"`
	TrialEnd         moment               `json:"trialEndDate"`
	CanceledAt       moment               `json:"canceledAt"`
	TraceID          text                 `json:"traceId"`
	CreatedAt        moment               `json:"createdAt"`
	UpdatedAt        moment               `json:"updatedAt"`
}

type scheduleWire struct {
	ExecuteAt text             `json:"executeAt"`
	Rule      object[ruleWire] `json:"rrule"`
}

type ruleWire struct {
	IntervalType text  `json:"intervalType"`
	Interval     count `json:"interval"`
	StartDate    text  `json:"startDate"`
	StartTime    text  `json:"startTime"`
	EndDate      text  `json:"endDate"`
	EndTime      text  `json:"endTime"`
	EndType      text  `json:"endType"`
	Timezone     text  `json:"timezone"`
	DayOfMonth   count `json:"dayOfMonth"`
	DayOfWeek    text  `json:"dayOfWeek"`
	NumOfWeek    count `json:"numOfWeek"`
	MonthOfYear  text  `json:"monthOfYear"`
	Count        count `json:"count"`
	DaysBefore   count `json:"daysBefore"`
}

func (w scheduleWire) fold() Schedule {
	r := w.Rule.v
	return Schedule{
		ExecuteAt: string(w.ExecuteAt), IntervalType: string(r.IntervalType), Interval: int64(r.Interval),
		StartDate: string(r.StartDate), StartTime: string(r.StartTime), EndDate: string(r.EndDate), EndTime: string(r.EndTime),
		EndType: string(r.EndType), Timezone: string(r.Timezone), DayOfMonth: int64(r.DayOfMonth), DayOfWeek: string(r.DayOfWeek),
		NumOfWeek: int64(r.NumOfWeek), MonthOfYear: string(r.MonthOfYear), Count: int64(r.Count), DaysBefore: int64(r.DaysBefore),
	}
}

// planWire is the product of a subscription. The id that it may have of its own is that of a step of a funnel, not of a
// product.
type planWire struct {
	Name      text             `json:"name"`
	ProductID text             `json:"productId"`
	Product   object[idObject] `json:"product"`
}

type idObject struct {
	ID text `json:"_id"`
}

// DecodeSubscription reads a subscription from an answer or a list row.
func DecodeSubscription(data []byte) (Subscription, error) {
	var w subscriptionWire
	if err := unmarshal(data, &w); err != nil {
		return Subscription{}, fmt.Errorf("subscription: %w", err)
	}
	if w.ID == "" {
		return Subscription{}, fmt.Errorf("subscription: %w", errNoID)
	}
	nested := w.EntitySource.v
	s := Subscription{
		ID: string(w.ID), GatewayID: string(w.SubscriptionID), LocationID: string(w.AltID), ContactID: string(w.ContactID),
		Contact: w.ContactSnapshot.v.fold(), Currency: string(w.Currency), Amount: w.Amount, Status: string(w.Status),
		Test: isTest(w.LiveMode, w.MarkAsTest), EntityType: string(w.EntityType), EntityID: string(w.EntityID),
		Source: Source{
			Type: first(nested.Type, w.EntitySourceType), SubType: string(nested.SubType),
			ID: first(nested.ID, w.EntitySourceID), Name: first(nested.Name, w.EntitySourceName),
		},
		Provider: first(w.ProviderType, w.Provider.v.Type), CouponCode: string(w.Coupon.v.Code),
		PlanName: string(w.Product.v.Name), ProductID: first(w.Product.v.ProductID, w.Product.v.Product.v.ID),
		Schedule: w.Schedule.v.fold(), Snapshot: w.Snapshot.v.fold(), TrialEnd: w.TrialEnd.Time,
		CanceledAt: w.CanceledAt.Time, TraceID: string(w.TraceID), CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	if s.TrialEnd.IsZero() {
		s.TrialEnd = s.Snapshot.TrialEnd
	}
	s.Contact.addFlat(&s.ContactID, w.ContactName, w.ContactEmail)
	return s, nil
}
