package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/testkit"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

// run runs a command of the starter as an operator would, and returns its exit code and what it printed.
func run(t *testing.T, s *stack.Stack, arguments ...string) (code int, output string) {
	t.Helper()
	return runWith(t, s, "", arguments...)
}

// runWith is run with something to read.
func runWith(t *testing.T, s *stack.Stack, input string, arguments ...string) (code int, output string) {
	t.Helper()
	return harness.Command(t, s, input, arguments...)
}

// buy places an order of one article and pays it.
func buy(t *testing.T, s *stack.Stack, contact string, amount domain.Money) ghl.Order {
	t.Helper()
	return buyIn(t, s, s.Location(), contact, amount)
}

// buyIn is buy in another location.
func buyIn(t *testing.T, s *stack.Stack, location, contact string, amount domain.Money) ghl.Order {
	t.Helper()
	return harness.Buy(t, s, location, contact, amount)
}

func booked(s *stack.Stack, order string) []sage.Order {
	return s.Sage.OrdersByExtID(domain.OrderExtID(order))
}

// samples reads the published sample bodies of an event, as their bytes stand in the published file.
func samples(t *testing.T, event string) [][]byte {
	t.Helper()
	folder := os.Getenv("TALLYSTICK_GHL_CONTRACTS")
	if folder == "" {
		testkit.Missing(t, "set TALLYSTICK_GHL_CONTRACTS to the folder that holds HighLevel's published files (apps, common, webhooks)")
	}
	text, err := os.ReadFile(filepath.Join(folder, "webhooks", event+".json"))
	require.NoError(t, err)
	var published struct {
		Samples []json.RawMessage `json:"samples"`
	}
	require.NoError(t, json.Unmarshal(text, &published))
	require.NotEmpty(t, published.Samples)
	bodies := make([][]byte, len(published.Samples))
	for i, sample := range published.Samples {
		bodies[i] = sample
	}
	return bodies
}

// TestPublishedWebhooksGoThrough sends the order webhooks as HighLevel publishes them, byte for byte and signed, and
// then with each optional field left out. The samples are orders of test mode, so it is a rehearsal that takes them.
func TestPublishedWebhooksGoThrough(t *testing.T) {
	events := map[string][]byte{}
	for _, event := range []string{"OrderCreate", "OrderStatusUpdate"} {
		events[event] = samples(t, event)[0]
	}
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true}, Env: map[string]string{"TEST_ORDERS": "only", "SYNC_INTERVAL": "1h"},
	})
	order, err := s.GHL.ImportOrder(events["OrderStatusUpdate"])
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)

	for event, body := range events {
		require.Equal(t, http.StatusOK, s.GHL.SendRaw(t.Context(), event, body).Status, event)
	}
	require.Eventually(t, func() bool { return len(booked(s, order.ID)) == 1 }, patience, 20*time.Millisecond)
	settled(t, s)
	require.Equal(t, "150.1", string(booked(s, order.ID)[0].Number("total")))

	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(events["OrderStatusUpdate"], &fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "_id" {
			continue
		}
		without := maps.Clone(fields)
		delete(without, name)
		body, err := json.Marshal(without)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, s.GHL.SendRaw(t.Context(), "OrderStatusUpdate", body).Status, "without "+name)
	}
	bare := []byte(`{"_id":"` + order.ID + `","altId":"` + s.Location() + `"}`)
	require.Equal(t, http.StatusOK, s.GHL.SendRaw(t.Context(), "OrderCreate", bare).Status)
	settled(t, s)
	require.Len(t, booked(s, order.ID), 1)
}

// TestTestModeIsKeptOut: without the rehearsal the same webhook is taken, and nothing reaches Sage.
func TestTestModeIsKeptOut(t *testing.T) {
	body := samples(t, "OrderStatusUpdate")[0]
	s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true}})
	order, err := s.GHL.ImportOrder(body)
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, s.GHL.SendRaw(t.Context(), "OrderStatusUpdate", body).Status)
	settled(t, s)
	require.Empty(t, s.Sage.Orders())
	require.Empty(t, s.Sage.Writes())
}

// TestSweepFindsWhatNoWebhookToldOf leaves out every webhook: the order, and later its refund, are found all the same.
func TestSweepFindsWhatNoWebhookToldOf(t *testing.T) {
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true, Webhooks: ghl.WebhookOptions{Events: []string{}}}, Env: map[string]string{"SYNC_INTERVAL": "1s"},
	})
	order := buy(t, s, s.GHL.AddContact(ghl.Contact{FirstName: "Ada", Email: "ada@example.com"}), domain.NewMoney(1500, "JPY"))
	require.Eventually(t, func() bool { return len(booked(s, order.ID)) == 1 }, patience, 20*time.Millisecond)
	require.Empty(t, s.GHL.Deliveries())
	require.NoError(t, s.GHL.Refund(s.GHL.Payments(order.ID)[0].ID, domain.NewMoney(500, "JPY")))
	require.Eventually(t, func() bool {
		return booked(s, order.ID)[0].Text("Z_PaymentStatus") == string(domain.PartiallyRefunded)
	}, patience, 20*time.Millisecond)
	settled(t, s)
	harness.Agrees(t, s)
}

// TestOrderWithSeveralCandidatesIsParkedAndDecided goes the operator's way: two Sage orders may be the sale, the status
// names them, the decision picks one, and people's lines on it stay.
func TestOrderWithSeveralCandidatesIsParkedAndDecided(t *testing.T) {
	s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true}})
	contact := s.GHL.AddContact(ghl.Contact{FirstName: "Ada", Email: "ada@example.com"})
	const orderID = "6650f1a2b3c4d5e6f7a8b9c0"
	first, second := madeByHand(t, s, orderID), madeByHand(t, s, orderID)
	product := s.GHL.AddProduct(ghl.Product{Name: "Article"})
	price := s.GHL.AddPrice(ghl.Price{ProductID: product, Name: "One", Amount: domain.NewMoney(2000, "EUR")})
	_, err := s.GHL.PlaceOrder(ghl.NewOrder{
		ID: orderID, ContactID: contact, Currency: "EUR", Lines: []ghl.NewLine{{PriceID: price, Qty: 1}},
	})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(orderID, ghl.NewPayment{})
	require.NoError(t, err)

	settled(t, s)
	require.Empty(t, booked(s, orderID))
	item, parked, err := s.Store.ParkedItem(t.Context(), s.Location(), "PaymentToOrder", orderID)
	require.NoError(t, err)
	require.True(t, parked)
	require.Equal(t, string(activities.Conflict), item.Kind)
	require.Equal(t, []int64{first, second}, item.Candidates)
	code, shown := run(t, s, "status")
	require.Zero(t, code, shown)
	require.Contains(t, shown, orderID)
	require.Contains(t, shown, strconv.FormatInt(first, 10))

	code, shown = run(t, s, "match", orderID, "--sage-order", strconv.FormatInt(second, 10))
	require.Zero(t, code, shown)
	require.Eventually(t, func() bool { return len(booked(s, orderID)) == 1 }, patience, 20*time.Millisecond)
	settled(t, s)
	require.Equal(t, second, booked(s, orderID)[0].ID)
	require.Len(t, booked(s, orderID)[0].Lines, 1, "the line that people wrote")
	require.Equal(t, "paid", booked(s, orderID)[0].Text("Z_PaymentStatus"))
	_, parked, err = s.Store.ParkedItem(t.Context(), s.Location(), "PaymentToOrder", orderID)
	require.NoError(t, err)
	require.False(t, parked)
}

// madeByHand is an order of 20.00 EUR with one line that a person made in Sage for the sale.
func madeByHand(t *testing.T, s *stack.Stack, reference string) int64 {
	t.Helper()
	people := func(resource string, fields map[string]any) int64 {
		id, err := s.Sage.PeopleCreate(resource, fields)
		require.NoError(t, err)
		return id
	}
	branch := s.Sage.Find("branches", "Main branch")
	account := people("accounts", map[string]any{"name": "Ada", "branchId": branch, "salesRepId1": s.Sage.Person()})
	product := people("products", map[string]any{"model": "Something people sell"})
	order := people("salesorders", map[string]any{
		"reference": reference, "accountId": account, "branchId": branch, "salesRepId": s.Sage.Person(),
		"statusId": s.Sage.Find("salesorderStatuses", "Open"), "currencyId": s.Sage.Find("currencies", "Euro"),
		"total": json.Number("20.00"),
	})
	people("salesordersLines", map[string]any{
		"salesOrderId": order, "productId": product, "quantity": 1, "price": json.Number("20.00"), "total": json.Number("20.00"),
	})
	return order
}

// TestParkedOrderGoesOnByItselfOrByReplay: a currency that Sage lacks parks an order; when somebody adds it, the order
// goes on, at once by the operator's word and otherwise with a later sweep.
func TestParkedOrderGoesOnByItselfOrByReplay(t *testing.T) {
	for _, c := range []struct{ name, interval string }{{"by itself", "1s"}, {"by replay", "1h"}} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true}, Env: map[string]string{"SYNC_INTERVAL": c.interval}})
			order := buy(t, s, s.GHL.AddContact(ghl.Contact{FirstName: "Ada"}), domain.NewMoney(2000, "CAD"))
			require.Eventually(t, func() bool {
				item, parked, err := s.Store.ParkedItem(t.Context(), s.Location(), "PaymentToOrder", order.ID)
				return err == nil && parked && item.Kind == string(activities.Mapping)
			}, patience, 20*time.Millisecond)
			require.Empty(t, booked(s, order.ID))

			_, err := s.Sage.PeopleCreate("currencies", map[string]any{"isoCode": "CAD", "symbol": "$", "descriptionEN": "Canadian Dollar"})
			require.NoError(t, err)
			require.NoError(t, s.Workers[0].Restart(t.Context()), "value lists are kept for a while; a restart reads them anew")
			if c.interval == "1h" {
				code, shown := run(t, s, "replay", "--kind", "Mapping")
				require.Zero(t, code, shown)
			}
			require.Eventually(t, func() bool { return len(booked(s, order.ID)) == 1 }, patience, 20*time.Millisecond)
			settled(t, s)
		})
	}
}

// TestWebhooksAreHeldOffWhileTemporalIsAway: what cannot be kept is answered 429, so that HighLevel sends it again, and
// goes through when Temporal is back.
func TestWebhooksAreHeldOffWhileTemporalIsAway(t *testing.T) {
	s := start(t, stack.Options{Temporal: stack.Temporal{OnDisk: true}, GHL: ghl.Options{NoLimits: true}, Env: map[string]string{"SYNC_INTERVAL": "1h"}})
	s.Server.Kill()
	order := buy(t, s, s.GHL.AddContact(ghl.Contact{FirstName: "Ada", Email: "ada@example.com"}), domain.NewMoney(2000, "EUR"))
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(s.GHL.Deliveries(), func(d ghl.Delivery) bool { return d.Status == http.StatusTooManyRequests })
	}, patience, 20*time.Millisecond)
	require.NoError(t, s.Server.Restart(t.Context()))
	require.Eventually(t, func() bool { return len(booked(s, order.ID)) == 1 }, patience, 20*time.Millisecond)
	for _, d := range s.GHL.Deliveries() {
		require.Contains(t, []int{http.StatusOK, http.StatusTooManyRequests}, d.Status)
	}
}

// TestCheckFindsTheSandboxInOrder: the preflight passes where everything is set up, and says what is not where it is not.
func TestCheckFindsTheSandboxInOrder(t *testing.T) {
	s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true}})
	code, shown := run(t, s, "check")
	require.Zero(t, code, shown)

	lacking := start(t, stack.Options{GHL: ghl.Options{NoLimits: true}, Sage: sage.Options{ExtraFields: []sage.ExtraField{}}})
	code, shown = run(t, lacking, "check", "-o", "json")
	require.Contains(t, shown, "Z_PaymentStatus")
	require.NotEqual(t, 2, code, shown)
}
