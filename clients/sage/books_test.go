package sage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

func newSale(account int64, extID string, total domain.Number, day time.Time) sage.SaleFields {
	return sage.SaleFields{ExtID: &extID, AccountID: &account, AccountExtID: new("ghl:contact:1"), SalesRepExtID: new("REP1"),
		Date: new(sage.At(day)), Total: &total}
}

func TestSandboxSalesAreBookedByMonth(t *testing.T) {
	users := tenant.DefaultUsers()
	users[1].ExtID = "REP1"
	server, plan, c := start(t, tenant.Options{Users: users})
	ctx := t.Context()
	account, _, _, _ := noteOn(t, c)
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	plan.Next("sage.sales.create", faults.Fault{Kind: faults.CutAfter})
	_, err := c.Sales.Create(ctx, newSale(account, "ghl:txn:1", "168.00", march))
	require.True(t, transport.MayHaveLanded(err))
	for extID, sale := range map[string]sage.SaleFields{
		"ghl:txn:2":        newSale(account, "ghl:txn:2", "10.10", march.AddDate(0, 0, 30)),
		"ghl:txn:2:refund": newSale(account, "ghl:txn:2:refund", "-10.10", march.AddDate(0, 0, 30)),
		"ghl:txn:3":        newSale(account, "ghl:txn:3", "7", march.AddDate(0, 1, 0)),
	} {
		_, err := c.Sales.Create(ctx, sale)
		require.NoError(t, err, extID)
	}
	match, err := c.Sales.FindByExtID(ctx, "ghl:txn:1")
	require.NoError(t, err)
	require.NotNil(t, match.Live, "a lost answer is looked up")
	assert.True(t, match.Live.Total.Equal("168"))
	assert.True(t, match.Live.Date.Equal(march))
	assert.Equal(t, users[1].ID, match.Live.SalesRepID.ID)
	require.NoError(t, server.PeopleDelete("sales", match.Live.ID))

	of := sage.And(sage.Ge("date", march), sage.Lt("date", march.AddDate(0, 1, 0)))
	rows, err := c.Sales.Find(ctx, of)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	deleted := 0
	for _, row := range rows {
		if row.Deleted { // 0 or 1 here
			deleted++
		}
	}
	assert.Equal(t, 1, deleted)
}

func TestSandboxSalesMayBeRefused(t *testing.T) {
	_, _, c := start(t, tenant.Options{RefuseNegativeTotals: true})
	account, _, _, _ := noteOn(t, c)
	_, err := c.Sales.Create(t.Context(), newSale(account, "ghl:txn:1:refund", "-0.01", time.Now()))
	require.True(t, transport.IsStatus(err, 400))
	assert.False(t, transport.MayHaveLanded(err))
	lacking := newSale(account, "ghl:txn:1", "1", time.Now())
	lacking.SalesRepExtID = nil
	_, err = c.Sales.Create(t.Context(), lacking)
	require.True(t, transport.IsStatus(err, 400))
	id, err := c.Sales.Create(t.Context(), newSale(account, "ghl:txn:1", "1", time.Now()))
	require.NoError(t, err)
	require.True(t, transport.IsStatus(c.Sales.Update(t.Context(), id, sage.SaleFields{Total: new(domain.Number("-1"))}), 400))
	read, err := c.Sales.Get(t.Context(), id)
	require.NoError(t, err)
	assert.True(t, read.Total.Equal("1"))
	assert.False(t, read.SalesRepID.IsSet(), "nobody has that external id")
}

func TestSandboxOpportunityWithItsOrder(t *testing.T) {
	_, _, c := start(t, tenant.Options{})
	ctx := t.Context()
	account, _, rep, branch := noteOn(t, c)
	_, _, _, euro := defaults(t, c)
	open, err := c.Catalog.OpportunityStatus(ctx, sage.Open, branch, "")
	require.NoError(t, err)
	lost, err := c.Catalog.OpportunityStatus(ctx, sage.Lost, branch, "")
	require.NoError(t, err)
	won, err := c.Catalog.OpportunityStatus(ctx, sage.Won, branch, "")
	require.NoError(t, err)
	assert.Len(t, map[int64]bool{open: true, lost: true, won: true}, 3)

	renewal := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	id, err := c.Opportunities.Create(ctx, sage.OpportunityFields{ExtID: new("ghl:sub:1"), Reference: new("Gold"), AccountID: &account,
		BranchID: &branch, SalesRepID: &rep, StatusID: &open, CurrencyID: &euro, Total: new(domain.Number("29.90")),
		SalesProbability: new(int64(10)), SalesForecastDate: new(sage.At(renewal)),
		Extra: sage.ExtraFields{"Z_SubscriptionStatus": "active", "Z_SubscriptionInterval": "1 month"}})
	require.NoError(t, err)
	fields := newOrder(t, c, "ghl:order:1")
	fields.OpportunityID = &id
	order, err := c.Orders.Create(ctx, fields)
	require.NoError(t, err)
	linked, err := c.Orders.Find(ctx, sage.Eq("opportunityId.id", id))
	require.NoError(t, err)
	require.Len(t, linked, 1)
	assert.Equal(t, order, linked[0].ID)
	assert.Equal(t, sage.Ref{ID: id, Label: "Gold"}, linked[0].OpportunityID)

	require.NoError(t, c.Opportunities.Update(ctx, id, sage.OpportunityFields{StatusID: &lost, SalesProbability: new(int64(0)),
		LostDate: new(sage.At(renewal)), Extra: sage.ExtraFields{"Z_SubscriptionStatus": "canceled"}}))
	match, err := c.Opportunities.FindByExtID(ctx, "ghl:sub:1")
	require.NoError(t, err)
	require.NotNil(t, match.Live)
	got := *match.Live
	assert.Equal(t, lost, got.StatusID.ID)
	assert.Equal(t, account, got.AccountID.ID)
	assert.True(t, got.Total.Equal("29.9") && got.SalesForecastDate.Equal(renewal) && got.LostDate.Equal(renewal))
	assert.Equal(t, "canceled", got.Extra.Text("Z_SubscriptionStatus"))
	assert.Empty(t, got.Locked())
	_, err = c.Opportunities.Create(ctx, sage.OpportunityFields{Reference: new("Gold"), BranchID: &branch, SalesRepID: &rep, StatusID: &open})
	assert.True(t, transport.IsStatus(err, 400), "the probability is required: %v", err)
}

func TestSandboxStagesWhoseMeaningIsUnknownAreNoChoice(t *testing.T) {
	_, _, c := start(t, tenant.Options{OpportunityStatuses: []tenant.OpportunityStatus{{Name: "First visit"}, {Name: "Offer"},
		{Name: "Signed", Won: 1, EndStatus: true}, {Name: "Archived", Won: 2, EndStatus: true}}})
	_, err := c.Catalog.OpportunityStatus(t.Context(), sage.Won, 0, "SAGE_OPPORTUNITY_STATUS_WON")
	require.NoError(t, err)
	for outcome, choices := range map[sage.Outcome]int{sage.Open: 2, sage.Lost: 0} {
		_, err := c.Catalog.OpportunityStatus(t.Context(), outcome, 0, "SAGE_VARIABLE")
		var missing *sage.MappingError
		require.ErrorAs(t, err, &missing, outcome.String())
		assert.Len(t, missing.Choices, choices, outcome.String())
	}
}
