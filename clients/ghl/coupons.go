package ghl

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Coupons are the discount codes of the location. No webhook tells of a change.
type Coupons struct{ api *api }

// Coupon is a discount code.
//
// HighLevel takes a usage limit and product ids but, in the version of the API that this client speaks, never gives them
// back; only Coupons.PageLinks tells the product ids. Who changes a coupon must therefore know what was written last.
type Coupon struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	Name       string `json:"name"`
	Code       string `json:"code"`
	// DiscountType is percentage or amount.
	DiscountType string `json:"discountType"`
	// DiscountValue is in percent, or in major units of a currency that HighLevel does not name.
	DiscountValue domain.Number `json:"discountValue,omitempty"`
	// Status is scheduled, active or expired.
	Status string `json:"status"`
	// StartsAt and EndsAt bound its use; EndsAt is zero if it does not end.
	StartsAt time.Time `json:"startsAt"`
	EndsAt   time.Time `json:"endsAt"`
	// Used is how often it was used.
	Used int64 `json:"used"`
	// LimitPerCustomer is how often one customer may use it, 0 for any number.
	LimitPerCustomer int64         `json:"limitPerCustomer"`
	Future           CouponRenewal `json:"future"`
	// ProductIDs, PriceIDs and VariantIDs are what it is good for. Only PageLinks and AllLinks fill them; empty there
	// means everything.
	ProductIDs []string  `json:"productIds,omitempty"`
	PriceIDs   []string  `json:"priceIds,omitempty"`
	VariantIDs []string  `json:"variantIds,omitempty"`
	TraceID    string    `json:"traceId,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

// CouponRenewal says whether the later payments of a subscription are discounted too.
type CouponRenewal struct {
	Applies bool `json:"applies"`
	// Months is the number of months; 0 means for ever.
	Months int64 `json:"months,omitempty"`
}

// CouponInput is a coupon as it shall be. A change needs all of it: what is left out may be lost (A28).
type CouponInput struct {
	// Name and Code are required. Whether a code must be unique is not documented (A29): search for it first.
	Name, Code string
	// DiscountType and DiscountValue are as in Coupon. Required.
	DiscountType  string
	DiscountValue domain.Number
	// StartsAt is required; a zero EndsAt means without end.
	StartsAt, EndsAt time.Time
	// UsageLimit is how often all customers together may use it, 0 for any number. It cannot be read back.
	UsageLimit int64
	// ProductIDs are what it is good for; none for everything. They can be read back by PageLinks only.
	ProductIDs []string
	Future     CouponRenewal
	// OncePerCustomer is a yes or no here, although an answer tells a number.
	OncePerCustomer bool
}

// CouponFilter narrows a list of coupons. Empty fields do not filter.
type CouponFilter struct {
	// Status is scheduled, active or expired.
	Status string
	// Search is looked for in names and codes.
	Search string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of coupons, from the place given on.
func (s *Coupons) Page(ctx context.Context, filter CouponFilter, at Cursor) (Page[Coupon], error) {
	return s.page(ctx, couponsList, filter, at)
}

// PageLinks is Page in the newer version of the endpoint (Version: v3), whose rows also tell products, prices and
// variants.
func (s *Coupons) PageLinks(ctx context.Context, filter CouponFilter, at Cursor) (Page[Coupon], error) {
	return s.page(ctx, couponsListLinks, filter, at)
}

func (s *Coupons) page(ctx context.Context, op Operation, filter CouponFilter, at Cursor) (Page[Coupon], error) {
	query := s.api.tenant()
	setText(query, "status", filter.Status)
	setText(query, "search", filter.Search)
	return page(ctx, s.api, listing{op: op, query: query, limit: filter.Limit}, at, DecodeCoupon)
}

// All walks all coupons of the filter. A *RowError stands for one unreadable row and the walk goes on; any other error
// ends it.
func (s *Coupons) All(ctx context.Context, filter CouponFilter) iter.Seq2[Coupon, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Coupon], error) { return s.Page(ctx, filter, at) })
}

// AllLinks is All by way of PageLinks.
func (s *Coupons) AllLinks(ctx context.Context, filter CouponFilter) iter.Seq2[Coupon, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Coupon], error) { return s.PageLinks(ctx, filter, at) })
}

// Get reads one coupon. HighLevel wants both its id and its code; who knows one only finds the other by Page.
func (s *Coupons) Get(ctx context.Context, id, code string) (Coupon, error) {
	if err := need(couponsGet, "the id", id, "the code", code); err != nil {
		return Coupon{}, err
	}
	query := s.api.tenant()
	query.Set("id", id)
	query.Set("code", code)
	return call(ctx, s.api, couponsGet, request{query: query}, DecodeCoupon)
}

// Create makes a coupon.
func (s *Coupons) Create(ctx context.Context, in CouponInput) (Coupon, error) {
	body, err := s.body(couponsCreate, in)
	if err != nil {
		return Coupon{}, err
	}
	return call(ctx, s.api, couponsCreate, request{body: body}, DecodeCoupon)
}

// Update replaces a coupon by what is given.
func (s *Coupons) Update(ctx context.Context, id string, in CouponInput) (Coupon, error) {
	if err := need(couponsUpdate, "the id", id); err != nil {
		return Coupon{}, err
	}
	body, err := s.body(couponsUpdate, in)
	if err != nil {
		return Coupon{}, err
	}
	body.ID = id
	return call(ctx, s.api, couponsUpdate, request{body: body}, DecodeCoupon)
}

// Delete removes a coupon. The id travels in the body, as HighLevel wants it.
func (s *Coupons) Delete(ctx context.Context, id string) error {
	if err := need(couponsDelete, "the id", id); err != nil {
		return err
	}
	body := struct {
		tenantBody
		ID string `json:"id"`
	}{s.api.tenantBody(), id}
	return s.api.do(ctx, couponsDelete, request{body: body}, &confirmation{})
}

type couponBody struct {
	tenantBody
	ID              string        `json:"id,omitempty"`
	Name            string        `json:"name"`
	Code            string        `json:"code"`
	DiscountType    string        `json:"discountType"`
	DiscountValue   domain.Number `json:"discountValue"`
	StartDate       string        `json:"startDate"`
	EndDate         string        `json:"endDate,omitempty"`
	UsageLimit      int64         `json:"usageLimit,omitempty"`
	ProductIDs      []string      `json:"productIds,omitempty"`
	Future          bool          `json:"applyToFuturePayments"`
	FutureConfig    *renewalBody  `json:"applyToFuturePaymentsConfig,omitempty"`
	OncePerCustomer bool          `json:"limitPerCustomer"`
}

// renewalBody of the type forever has no duration: HighLevel's file calls it required there as well, which its own
// answers contradict (A27).
type renewalBody struct {
	Type         string `json:"type"`
	Duration     int64  `json:"duration,omitempty"`
	DurationType string `json:"durationType,omitempty"`
}

func (s *Coupons) body(op Operation, in CouponInput) (couponBody, error) {
	starts := stamp(in.StartsAt)
	err := need(op, "the name", in.Name, "the code", in.Code, "the discount type", in.DiscountType,
		"the discount", string(in.DiscountValue), "the start", starts)
	if err != nil {
		return couponBody{}, err
	}
	body := couponBody{
		tenantBody: s.api.tenantBody(), Name: in.Name, Code: in.Code, DiscountType: in.DiscountType, DiscountValue: in.DiscountValue,
		StartDate: starts, EndDate: stamp(in.EndsAt), UsageLimit: in.UsageLimit, ProductIDs: in.ProductIDs,
		Future: in.Future.Applies, OncePerCustomer: in.OncePerCustomer,
	}
	switch {
	case !in.Future.Applies:
	case in.Future.Months > 0:
		body.FutureConfig = &renewalBody{Type: "fixed", Duration: in.Future.Months, DurationType: "months"}
	default:
		body.FutureConfig = &renewalBody{Type: "forever"}
	}
	return body, nil
}

type couponWire struct {
	ID               text               `json:"_id"`
	AltID            text               `json:"altId"`
	Name             text               `json:"name"`
	Code             text               `json:"code"`
	DiscountType     text               `json:"discountType"`
	DiscountValue    domain.Number      `json:"discountValue"`
	Status           text               `json:"status"`
	StartDate        moment             `json:"startDate"`
	EndDate          moment             `json:"endDate"`
	UsageCount       count              `json:"usageCount"`
	LimitPerCustomer perCustomer        `json:"limitPerCustomer"`
	Future           flag               `json:"applyToFuturePayments"`
	FutureConfig     object[futureWire] `json:"applyToFuturePaymentsConfig"`
	ProductIDs       list[text]         `json:"productIds"`
	PriceIDs         list[text]         `json:"priceIds"`
	VariantIDs       list[text]         `json:"variantIds"`
	TraceID          text               `json:"traceId"`
	CreatedAt        moment             `json:"createdAt"`
	UpdatedAt        moment             `json:"updatedAt"`
}

type futureWire struct {
	Type     text  `json:"type"`
	Duration count `json:"duration"`
}

// perCustomer takes the number of answers, and the yes or no of requests in case an answer echoes it (A29).
type perCustomer int64

func (p *perCustomer) UnmarshalJSON(data []byte) error {
	if string(data) == "true" {
		*p = 1
		return nil
	}
	return (*count)(p).UnmarshalJSON(data)
}

// DecodeCoupon reads a coupon from an answer or a list row.
func DecodeCoupon(data []byte) (Coupon, error) {
	var w couponWire
	if err := unmarshal(data, &w); err != nil {
		return Coupon{}, fmt.Errorf("coupon: %w", err)
	}
	if w.ID == "" {
		return Coupon{}, fmt.Errorf("coupon: %w", errNoID)
	}
	c := Coupon{
		ID: string(w.ID), LocationID: string(w.AltID), Name: string(w.Name), Code: string(w.Code),
		DiscountType: string(w.DiscountType), DiscountValue: w.DiscountValue, Status: string(w.Status),
		StartsAt: w.StartDate.Time, EndsAt: w.EndDate.Time, Used: int64(w.UsageCount), LimitPerCustomer: int64(w.LimitPerCustomer),
		Future:     CouponRenewal{Applies: w.Future.on},
		ProductIDs: texts(w.ProductIDs), PriceIDs: texts(w.PriceIDs), VariantIDs: texts(w.VariantIDs),
		TraceID: string(w.TraceID), CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	if future := w.FutureConfig.v; future.Type == "fixed" {
		c.Future.Months = int64(future.Duration)
	}
	return c, nil
}
