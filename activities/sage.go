package activities

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// Sage are the steps that write to Sage Sales Management.
type Sage struct {
	// Client gives the client of the tenant that belongs to a location, and how that tenant is set up.
	Client func(ctx context.Context, location string) (*sage.Client, SageSettings, error)
	Store  *store.Store
	// Look is where an order that is in the books is handed on to its lifecycle.
	Look Looker
	// Fulfillment says how lifecycles are followed; nil follows none.
	Fulfillment Fulfiller
	// Templates and Links are how people read of an order's steps; without them it is the texts that come with
	// Tallystick, and no links.
	Templates *notify.Templates
	Links     notify.Links
}

// SageSettings is what a tenant's administrator decides. Ids that are 0 are resolved from the tenant's value lists,
// where there is one choice only.
type SageSettings struct {
	BranchID, SalesRepID     int64
	OpenStatus, WonStatus    int64
	RefundedStatus           int64 // 0 leaves a refunded order in the status that its payments gave it
	TaxProduct, ShippingProd int64 // 0 makes products of our own
	// FieldPrefix begins the names of the extra fields; FieldNames replaces single names, by the name without a prefix.
	FieldPrefix string
	FieldNames  map[string]string
	// Defaults are extra fields that the tenant demands on every new record, by resource.
	Defaults map[string]map[string]any
	// MatchOpenWithin switches on the search for the one open order of the same account, currency and total that people
	// made within so long of the sale; 0 leaves it off.
	MatchOpenWithin time.Duration
	// ReplaceAdoptedLines lets an adopted order's own lines be replaced. Otherwise they are left alone.
	ReplaceAdoptedLines bool
	// Settle is how long a write whose outcome is unknown is given before it is looked for (A45).
	Settle time.Duration
	// Books says how payments and subscriptions are entered.
	Books BooksSettings
}

// BooksSettings is what a tenant's administrator decides about payments and subscriptions.
type BooksSettings struct {
	// NoRows enters no payments as rows of sales.
	NoRows bool
	// Refunds and Foreign say what becomes of refunds, and of payments in another currency than Currency, which is that of
	// the rows. An empty Currency is the branch's.
	Refunds  Instead
	Foreign  Instead
	Currency string
	// SalesRepExtID names the owner of the rows once more; empty is the external id of the user, or else the number (A143).
	SalesRepExtID string
	// RenewalOrders gives each payment of a subscription that has no order at HighLevel an order of its own.
	RenewalOrders bool
	// OpportunityOpen, OpportunityWon and OpportunityLost are statuses; 0 is resolved from the tenant's list.
	OpportunityOpen, OpportunityWon, OpportunityLost int64
	// Probability is that of new opportunities, from 0 to 10 (A134).
	Probability int64
	// Revenue says where the report of a month's revenue is put.
	Revenue RevenueSettings
}

// Instead is how money is entered that does not fit into rows of sales.
type Instead string

// The ways. The empty one is InsteadNegative for refunds and InsteadSkip for foreign currencies.
const (
	// InsteadNegative enters refunds as rows below 0, which is no matter of currencies.
	InsteadNegative Instead = "negative"
	// InsteadActivity tells of it in an activity on the account.
	InsteadActivity Instead = "activity"
	// InsteadSkip leaves it out.
	InsteadSkip Instead = "skip"
)

// connection is a tenant, ready to be worked with.
type connection struct {
	*sage.Client
	settings SageSettings
	tenant   tenant
}

func (a *Sage) connect(ctx context.Context, location string) (*connection, error) {
	client, settings, err := a.Client(ctx, location)
	if err != nil {
		return nil, err
	}
	c := &connection{Client: client, settings: settings}
	c.tenant, err = resolve(ctx, client, settings)
	return c, err
}

// fail turns the error of a step into the one Temporal acts on.
func (a *Sage) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var settle time.Duration
	var settled settleError
	if errors.As(err, &settled) {
		settle = settled.wait
	}
	return asTemporal(err, attempt(ctx), settle)
}

// settleError carries the tenant's settle delay with an error.
type settleError struct {
	error
	wait time.Duration
}

func (e settleError) Unwrap() error { return e.error }

// settles adds the tenant's settle delay to an error, if there is one.
func (c *connection) settles(err error) error {
	if c == nil || err == nil {
		return err
	}
	return settleError{err, c.settings.Settle}
}

func logger(ctx context.Context) log.Logger {
	if activity.IsActivity(ctx) {
		return activity.GetLogger(ctx)
	}
	return log.NewStructuredLogger(slog.Default())
}
