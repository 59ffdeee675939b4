package live

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

// HighLevelKeys say which location is asked.
type HighLevelKeys struct {
	BaseURL, LocationID, Token string
	// Limiter replaces the usual pace of 95 calls in 10 seconds.
	Limiter transport.Limiter
}

// HighLevel is a location that is asked.
type HighLevel struct {
	keys   HighLevelKeys
	tap    *tap
	client *ghl.Client

	// What several probes look at is read once: the newest rows, as they come.
	orders       []ghl.Order
	ordersErr    error
	transactions []ghl.Transaction
	paymentsErr  error
}

const (
	// nobody is an order that does not exist, of the form that ids have.
	nobody = "000000000000000000000000"
	// nowhere is a location that does not exist.
	nowhere = "AAAAAAAAAAAAAAAAAAAA"
	// looksAt is how many orders are read one by one.
	looksAt = 5
)

var highLevelProbes = []probe[*HighLevel]{
	{"A01", majorUnits}, {"A02", settledWords}, {"A05", freeOrders}, {"A06", paymentsOfOrder}, {"A07", paymentsOfInvoice},
	{"A08", ordersOfInvoice}, {"A09", dates}, {"A10", pageOf100}, {"A11", wrapped}, {"A12", altTypeNeeded}, {"A13", itemObjects},
	{"A14", summaries}, {"A18", times}, {"A19", quota}, {"A20", dailyReset}, {"A21", missingOrder}, {"A28", couponLinks},
	{"A31", totals}, {"A32", duplicateSearch}, {"A37", invoiceNumbers}, {"A39", subscriptionWords}, {"A93", otherLocation},
	{"A96", highLevelDate},
}

// AskHighLevel asks a location. It makes some thirty calls. Its error is that nothing can be read there.
func AskHighLevel(ctx context.Context, keys HighLevelKeys) ([]Finding, error) {
	h := &HighLevel{keys: keys, tap: newTap(nil)}
	var err error
	if h.client, err = h.connect(keys.LocationID, h.tap); err != nil {
		return nil, err
	}
	defer h.client.CloseIdle()
	transactions, err := h.client.Transactions.Page(ctx, ghl.TransactionFilter{}, ghl.Cursor{})
	h.transactions, h.paymentsErr = transactions.Rows, err
	orders, err := h.client.Orders.Page(ctx, ghl.OrderFilter{}, ghl.Cursor{})
	h.orders, h.ordersErr = orders.Rows, err
	if h.paymentsErr != nil && h.ordersErr != nil {
		return nil, fmt.Errorf("neither orders nor transactions of the location can be read: %w", err)
	}
	return askAll(ctx, h, highLevelProbes), nil
}

func (h *HighLevel) connect(location string, through http.RoundTripper) (*ghl.Client, error) {
	return ghl.New(ghl.Options{
		BaseURL: h.keys.BaseURL, LocationID: location, Credentials: ghl.StaticToken(h.keys.Token),
		ReadOnly: true, Transport: through, Limiter: h.keys.Limiter,
	})
}

// majorUnits compares payments with their orders.
func majorUnits(_ context.Context, h *HighLevel) (Verdict, string) {
	amounts := map[string]domain.Money{}
	for _, o := range h.orders {
		if currency, err := domain.ParseCurrency(o.Currency); err == nil {
			if total, err := domain.ParseMoney(o.Amount, currency); err == nil && !total.IsZero() {
				amounts[o.ID] = total
			}
		}
	}
	same := 0
	for _, t := range h.transactions {
		total, known := amounts[t.EntityID]
		if !known {
			continue
		}
		paid, err := domain.ParseMoney(t.Amount, total.Currency)
		if err != nil {
			continue
		}
		if hundredfold, err := total.Times(100); err == nil && paid == hundredfold {
			return Fails, "a payment is a hundred times its order's total"
		}
		if paid == total {
			same++
		}
	}
	if same == 0 {
		return Open, "no payment of a whole order among the newest"
	}
	return Holds, fmt.Sprintf("%d payments are of exactly their order's total", same)
}

// settledWords looks for words of which nobody has decided whether they mean money.
func settledWords(_ context.Context, h *HighLevel) (Verdict, string) {
	known := " succeeded success paid completed captured refunded partially_refunded pending failed "
	met, strange := map[string]int{}, map[string]int{}
	for _, t := range h.transactions {
		met[t.Status]++
		if !strings.Contains(known, " "+strings.ToLower(t.Status)+" ") {
			strange[t.Status]++
		}
	}
	switch {
	case h.paymentsErr != nil:
		return blocked(h.paymentsErr)
	case len(met) == 0:
		return Open, "there are no transactions"
	case len(strange) > 0:
		return Fails, "words that count as pending, rightly or not: " + words(strange)
	}
	return Holds, "words met: " + words(met)
}

func freeOrders(_ context.Context, h *HighLevel) (Verdict, string) {
	paid := map[string]bool{}
	for _, t := range h.transactions {
		paid[t.EntityID] = true
	}
	free, other := 0, map[string]int{}
	for _, o := range h.orders {
		if amount, err := domain.ParseMoney(o.Amount, "USD"); err != nil || !amount.IsZero() || paid[o.ID] {
			continue
		}
		free++
		if !strings.EqualFold(o.Status, "completed") {
			other[o.Status]++
		}
	}
	switch {
	case free == 0:
		return Open, "no order without value among the newest"
	case len(other) > 0:
		return Fails, "orders without value are also " + words(other)
	}
	return Holds, fmt.Sprintf("%d orders without value, all completed", free)
}

func paymentsOfOrder(ctx context.Context, h *HighLevel) (Verdict, string) {
	for _, t := range h.transactions {
		if t.EntityID == "" || !strings.EqualFold(t.EntityType, "order") {
			continue
		}
		page, err := h.client.Transactions.Page(ctx, ghl.TransactionFilter{EntityID: t.EntityID}, ghl.Cursor{})
		if err != nil {
			return blocked(err)
		}
		if len(page.Rows) == 0 {
			return Fails, "the filter does not find a payment that names the order"
		}
		for _, row := range page.Rows {
			if row.EntityID != t.EntityID {
				return Fails, "the filter lets payments of other orders through"
			}
		}
		return Holds, fmt.Sprintf("%d payments of one order, and no others", len(page.Rows))
	}
	return Open, "no payment of an order among the newest"
}

// ofInvoice is the first order that came from an invoice.
func (h *HighLevel) ofInvoice() (ghl.Order, bool) {
	for _, o := range h.orders {
		if strings.EqualFold(o.Source.Type, "invoice") && o.Source.ID != "" {
			return o, true
		}
	}
	return ghl.Order{}, false
}

func paymentsOfInvoice(ctx context.Context, h *HighLevel) (Verdict, string) {
	looked := 0
	for _, o := range h.orders {
		if !strings.EqualFold(o.Source.Type, "invoice") || o.Source.ID == "" || looked == looksAt {
			continue
		}
		looked++
		for under, id := range map[string]string{"order": o.ID, "invoice": o.Source.ID} {
			page, err := h.client.Transactions.Page(ctx, ghl.TransactionFilter{EntityID: id}, ghl.Cursor{})
			if err != nil {
				return blocked(err)
			}
			if len(page.Rows) > 0 {
				return Holds, "filed under the " + under
			}
		}
	}
	return Open, fmt.Sprintf("no payments of %d orders of invoices", looked)
}

func ordersOfInvoice(ctx context.Context, h *HighLevel) (Verdict, string) {
	order, found := h.ofInvoice()
	if !found {
		return Open, "no order of an invoice among the newest"
	}
	page, err := h.client.Orders.Page(ctx, ghl.OrderFilter{SourceID: order.Source.ID}, ghl.Cursor{})
	if err != nil {
		return blocked(err)
	}
	for _, o := range page.Rows {
		if o.Source.ID != order.Source.ID {
			return Fails, "the filter lets orders of other sources through"
		}
	}
	if len(page.Rows) == 0 {
		return Fails, "the filter does not find an order that names the invoice"
	}
	return Holds, fmt.Sprintf("%d orders of one invoice, and no others", len(page.Rows))
}

// dates asks for the moment of an order, which the client widens by a day on either side.
func dates(ctx context.Context, h *HighLevel) (Verdict, string) {
	for _, order := range h.orders {
		if order.CreatedAt.IsZero() {
			continue
		}
		filter := ghl.OrderFilter{From: order.CreatedAt, To: order.CreatedAt}
		rows := 0
		for row, err := range h.client.Orders.All(ctx, filter) {
			if err != nil {
				return blocked(err)
			}
			if rows++; row.ID == order.ID {
				return Holds, "an order is in the list of its own day with a day on either side"
			}
		}
		return Fails, fmt.Sprintf("an order is not among the %d of its own day with a day on either side", rows)
	}
	return Open, "no order with a date"
}

func pageOf100(_ context.Context, h *HighLevel) (Verdict, string) {
	switch {
	case transport.IsStatus(h.ordersErr, http.StatusUnprocessableEntity), transport.IsStatus(h.ordersErr, http.StatusBadRequest):
		return Fails, "a page of 100 is refused: " + h.ordersErr.Error()
	case h.ordersErr != nil:
		return blocked(h.ordersErr)
	case len(h.orders) == 100:
		return Holds, "a page of 100 came"
	}
	return Open, fmt.Sprintf("a page of 100 is not refused, and there are %d rows", len(h.orders))
}

func wrapped(ctx context.Context, h *HighLevel) (Verdict, string) {
	if _, err := h.client.Transactions.Page(ctx, ghl.TransactionFilter{Limit: 1}, ghl.Cursor{}); err != nil {
		return blocked(err)
	}
	if shape(h.tap.field("data")) == '{' {
		return Holds, "this list comes wrapped"
	}
	return Open, "this list comes plain"
}

func altTypeNeeded(ctx context.Context, h *HighLevel) (Verdict, string) {
	without := newTap(func(r *http.Request) {
		query := r.URL.Query()
		query.Del("altType")
		r.URL.RawQuery = query.Encode()
	})
	client, err := h.connect(h.keys.LocationID, without)
	if err != nil {
		return blocked(err)
	}
	defer client.CloseIdle()
	_, err = client.Orders.Page(ctx, ghl.OrderFilter{Limit: 1}, ghl.Cursor{})
	switch {
	case err == nil:
		return Fails, "orders are listed without altType too"
	case transport.IsStatus(err, http.StatusUnprocessableEntity), transport.IsStatus(err, http.StatusBadRequest):
		return Holds, "without altType the call is refused"
	}
	return blocked(err)
}

// read reads the first orders one by one.
func (h *HighLevel) read(ctx context.Context) ([]ghl.Order, error) {
	var read []ghl.Order
	for _, row := range h.orders[:min(looksAt, len(h.orders))] {
		order, err := h.client.Orders.Get(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		read = append(read, order)
	}
	return read, nil
}

func itemObjects(ctx context.Context, h *HighLevel) (Verdict, string) {
	orders, err := h.read(ctx)
	if err != nil {
		return blocked(err)
	}
	items, objects := 0, 0
	for _, o := range orders {
		for _, item := range o.Items {
			items++
			if item.Price.ID != "" || item.Product.ID != "" {
				objects++
			}
		}
	}
	switch {
	case items == 0:
		return Open, fmt.Sprintf("%d orders without items", len(orders))
	case objects < items:
		return Fails, fmt.Sprintf("%d of %d items name neither price nor product", items-objects, items)
	}
	return Holds, fmt.Sprintf("%d items with price or product", items)
}

func summaries(ctx context.Context, h *HighLevel) (Verdict, string) {
	orders, err := h.read(ctx)
	if err != nil {
		return blocked(err)
	}
	for _, o := range orders {
		if o.Summary.Tax.IsSet() || o.Summary.Shipping.IsSet() {
			return Holds, "an order's summary has tax or shipping"
		}
	}
	return Open, fmt.Sprintf("%d orders without tax and shipping in their summary", len(orders))
}

func times(_ context.Context, h *HighLevel) (Verdict, string) {
	rows, without := 0, 0
	count := func(at time.Time) {
		rows++
		if at.IsZero() {
			without++
		}
	}
	for _, o := range h.orders {
		count(o.CreatedAt)
		count(o.UpdatedAt)
	}
	for _, t := range h.transactions {
		count(t.CreatedAt)
		count(t.UpdatedAt)
	}
	switch {
	case rows == 0:
		return Open, "nothing with a time"
	case without > 0:
		return Fails, fmt.Sprintf("%d of %d times are missing or cannot be read", without, rows)
	}
	return Holds, fmt.Sprintf("%d times read", rows)
}
